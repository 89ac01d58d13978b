"""How Items are held: packed while they wait in memory, and as tables of stac-geoparquet in files."""
