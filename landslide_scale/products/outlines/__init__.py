"""Landslides of the cube as polygons, whole across blocks and zones.

Begin with `landslides.py`. One way leads there: blocks are read (`blocks.py`) into parts with runs of pixels
(`runs.py`) and figures (`tally.py`); a sweep joins them over blocks (`sweep.py`), `borders.py` over zones.
"""
