"""What every network here is and is made with: pixel values in, logits out, exact loading, number formats.

Imports only the vocabulary. Begin with `network.py`.
"""
