"""What a network says of a block: patches on the zone's lattice, in batches, blended where they overlap.

Imports `model.core` and the vocabulary: torch and NumPy alone, no Ray and no geo libraries. Begin with `predict.py`.
"""
