"""All products of a run: made in order, each whole or not at all, and gone on with.

Imports `products`, its rooms and what is below them; Ray is imported in `on_ray.py` alone. Begin with `run.py`: an
export from a run's folder to its products. `steps.py` says which products there are and what makes each, `engine.py`
has them made, `manifest.py` is what is known of them, and `verify.py` whether that still holds.
"""
