"""Rapid mapping: from an earthquake, or an event that a person gives, to a map, and a better one with every pass.

Begin with `settings.py`, then `watching.py` (cycles over all events), `cycle.py` (one event, one cycle), `looking.py`
(where to look), `acquisitions.py` (what was seen), `mapping.py` (a scan of it) and `releasing.py` (a version of that).
What an event is at is a `known.py`; what versions are and how they become public is in `publication/`.
"""
