"""The products as a STAC catalogue of files.

Imports `products`, its rasters' classes, `stac` and what is below them. Begin with `written.py`: a Collection for the
run, and `items.py`'s Item for each zone and window, because a raster has one system of coordinates; `assets.py` says
what a file is.
"""
