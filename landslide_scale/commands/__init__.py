"""What each command does: one function each for the command line; returns the exit code.

A module for each topic, as in `cli`. Begin with `arguments.py`, what they share, then `scanning.py`.
"""
