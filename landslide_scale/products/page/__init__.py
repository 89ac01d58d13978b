"""The report: one page that opens anywhere, offline, on a phone.

Begin with `report.py`: it puts together what the others make. What a page is laid out and moved by is in `resources/`.
"""
