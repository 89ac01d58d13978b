"""Landslides of one version of a map known again in the next: ids that stay with the ground, and what was said of it.

Imports `products` and what is below it. Begin with `heritage.py`: what a landslide has of those of the version before;
`kinship.py` tells which those are, by the ground they share.
"""
