"""Catalogues: which Items there are, what they say of their scenes and elevation tiles, and how they are kept.

Imports `storage` and the vocabulary; an Item becomes a `Scene` in `items.py` and nowhere else. Begin with
`providers.py`: a new provider is an entry there.
"""
