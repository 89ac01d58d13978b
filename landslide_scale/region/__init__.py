"""The ground a run is about, in degrees: from a box or a file, its area, and what lies around it.

Imports `storage` and the vocabulary. Begin with `settings.py`, then `load` in `polygons.py`; `metres.py` says
which projected systems count that ground truly.
"""
