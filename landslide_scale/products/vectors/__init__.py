"""Polygons as GeoPackage, GeoParquet and GeoJSON."""
