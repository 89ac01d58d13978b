"""Which images are learnt from, chosen by and scored: parts are drawn by ground, so that none is in two of them.

Imports `datasets`, `storage` and the vocabulary. Begin with `split.py`, how parts are drawn, then `ground.py`, what
lies together.
"""

from __future__ import annotations

from landslide_scale.parting.ground import divided_landslides, grouped
from landslide_scale.parting.looking import Looked, look
from landslide_scale.parting.overlaps import Overlap
from landslide_scale.parting.split import Split, partition, split

__all__ = ["Looked", "Overlap", "Split", "divided_landslides", "grouped", "look", "partition", "split"]
