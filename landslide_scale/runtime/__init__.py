"""Processes: joining a Ray cluster, being stopped, telling silence from work, and talking to a person.

Imports nothing of this package but its vocabulary; Ray is imported in `session.py`, and in the child that `trial.py`
starts. Begin with `session.py`.
"""
