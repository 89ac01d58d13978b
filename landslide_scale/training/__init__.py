"""From labelled images to a checkpoint and its score: epochs, a whole training, its folder, and its place on Ray.

Imports `datasets`, `metrics`, `model`, `storage` and the vocabulary; Ray is imported in `engine.py` alone, and all but
`engine.py` and `settings.py` run with torch and no Ray. Begin with `fitting.py`, then `epochs.py` and `evaluating.py`.
"""
