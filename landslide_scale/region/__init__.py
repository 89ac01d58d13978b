"""The ground a run is about, in degrees: from a box or a file, its area, and what lies around it.

Imports `storage` and the vocabulary. Begin with `settings.py`, then `load` in `polygons.py`; `layers.py` says which
layers of a file count, `sources.py` finds the file, `metres.py` says which projected systems count ground truly, and
`reaching.py` which scenes reach which of it.
"""
