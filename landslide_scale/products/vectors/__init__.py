"""Polygons as GeoParquet, GeoPackage and GeoJSON, and what the layers of a user say of them.

Imports `products` and what is below it; geopandas, pyogrio, pyarrow and sqlite3 are imported here. Begin with
`geoparquet.py`, which everything else is made from; `touching.py` asks a user's layers, `geopackage.py` writes the file
that an analyst opens, `geojson.py` the one for the web.
"""
