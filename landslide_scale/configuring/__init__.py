"""Configurations to begin with, and their schemas for editors: what `keys` makes of each kind. See `kinds.py`."""
