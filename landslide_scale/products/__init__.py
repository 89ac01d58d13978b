"""What is made of a scan's cube for those who open files: rasters, polygons, a catalogue of them, a page.

Imports `scan` and what is below it. Begin with `scanned.py`: a run as products are made of it; `landslide.py` says what
is known of one landslide, and `names.py` where each product lies.
"""
