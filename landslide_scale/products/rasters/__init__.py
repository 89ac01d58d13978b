"""The cube as cloud-optimised GeoTIFFs, each with a style for QGIS and, where it has classes, their names beside it.

Imports `products` and what is below it. Begin with `cog.py`; `pyramid.py` makes coarser pixels, `style.py` says what a
raster looks like, and `classes.py` names and colours the reasons.
"""
