"""LandslideNet: Segment Anything's parts, the tuning layers, and where these take part.

Imports `model.core` and the vocabulary. Begin with `network.py`, then `tuning.py`.
"""
