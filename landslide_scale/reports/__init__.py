"""What a person sees of a run: progress while it goes on, how it ended, and how good it is. Begin with `scans.py`."""
