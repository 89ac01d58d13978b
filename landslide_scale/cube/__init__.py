"""The landslide-probability cube in Zarr and the ledger beside it: what is written, and what is said of it.

Imports `storage` and the vocabulary; zarr is imported here alone. Begin with `arrays.py`: the driver lays out what
`template.py` describes, workers write `arrays.py`'s shards, and `ledger.py` keeps a record (`record.py`) of each unit.
"""
