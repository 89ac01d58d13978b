"""How a scan's units go over a Ray cluster: fed in, read, predicted, written, and tried again; who crashed over what.

Imports `scan`, `runtime` and below; Ray is imported in `engine.py` (the driver's end), `feed.py` (where units come
from) and `stages.py` (Ray Data) alone.
Units that an earlier run has are copied in the store and never come to the cluster: `taking.py` stands between a scan
and what carries its units, and `known.py` says which unit of the earlier run another one equals.
Begin with `engine.py`.
"""
