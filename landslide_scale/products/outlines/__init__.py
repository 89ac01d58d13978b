"""Landslides of the cube as polygons, whole across blocks and zones."""
