"""Pixels: from the addresses of a window's scenes to one image on a lattice that says why each pixel is or is not.

Imports `stac`, `storage` and the vocabulary; rasterio is imported here alone in a scan. Begin with `observe.py`, which
takes one datatake after the other; `datatake.py` mosaics its scenes, `mask.py` says which pixels count, `composite.py`
keeps what is seen, and `raster.py`, with `resampling.py`, `claims.py` and `geotiff.py` below it, reads. `terrain.py`
adds elevation and slope, from the tiles that `elevation.py` reads and the surface that `surface.py` lays through them.
"""
