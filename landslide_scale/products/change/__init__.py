"""Two layers of one cube beside each other: what is new since the one before, by a network, by vegetation, or by both.

Imports `products`, `change` and what is below them. Begin with `compared.py`: the two layers as classes by pixel;
`planes.py` makes of them what rasters and pictures show, and `nextpass.py` says when hidden ground may be seen.
"""
