"""Labelled images that others published, made into training chips once, so that a training reads one format alone.

Imports `stac` (the witness of the offset), the ledger of `cube`, `storage` and the layout of chips from `datasets`.
Begin with `run.py`; `patch.py` reads one file of Sen12Landslides, by `netcdf.py`, and `chip.py` makes a chip of it.
"""
