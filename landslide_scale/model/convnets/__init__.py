"""The convolutional networks that the paper compares with.

Imports `model.core` and the vocabulary. Begin with `network.py`.
"""
