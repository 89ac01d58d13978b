"""How a scan's units go over a Ray cluster: fed in, read, predicted, written, and tried again; who crashed over what.

Imports `scan`, `runtime` and below; Ray is imported in `engine.py` (the driver's end), `feed.py` (where units come
from) and `stages.py` (Ray Data) alone.
Begin with `engine.py`.
"""
