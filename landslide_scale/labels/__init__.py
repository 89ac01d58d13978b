"""Label polygons to training chips, observed just as a scan observes.

Imports `scan` and what is below it, and the layout of chips from `datasets`. Begin with `chips.py`.
"""
