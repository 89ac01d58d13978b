"""Files of a catalogue: from the address of an asset to numbers on a lattice, confined, signed, tried again.

Imports only the vocabulary; rasterio is imported here alone in a scan. Begin with `raster.py`; below it `resampling.py`
brings pixels onto the lattice, `claims.py` heeds what a file says of its numbers, `geotiff.py` opens it, and
`attempts.py` says how often that is tried.
"""
