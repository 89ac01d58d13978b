"""Pixels: from the scenes of a window to one image on a lattice that says why each pixel is or is not.

Imports `reading`, `stac`, `storage` and the vocabulary. Begin with `observe.py`, which takes one datatake after the
other; `datatake.py` mosaics its scenes, `mask.py` says which pixels count, and `composite.py` keeps what is seen.
`terrain.py` adds elevation and slope, from the tiles that `elevation.py` reads and the surface that `surface.py` lays
through them.
"""
