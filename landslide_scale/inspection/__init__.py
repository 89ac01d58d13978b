"""What the folder of a run says: units by state, errors and seconds, and a map of where they lie.

Imports `scan` (its layout), `cube`, `storage` and the vocabulary; nothing of a run is changed. Begin with `status.py`.
"""
