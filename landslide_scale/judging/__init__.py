"""How a trained network does on labelled images, and which of these it has seen before.

Imports `training`, `parting` and what they stand on. Begin with `assess.py`.
"""
