"""Files by path or URL, the folder of a run, and the lease that keeps a second run out of it.

Imports nothing of this package but its vocabulary. Begin with `rundir.py`, which everything that runs writes through.
"""
