"""The made land and what is true of it: relief, rivers, cover, fields, landslides and what looks like them.

Imports only the vocabulary and how truth is written as rasters (`imagery`). Begin with `frame.py`; a scar's shape is in
`scars.py`.
"""
