"""The networks, their parts and their base weights.

Needs torch, numpy, segment-anything and, for the convolutional networks, segmentation-models-pytorch only. Begin with
`families.py`, and with `card.py` and `checkpoint.py` for what a trained network is on disk.
"""

from landslide_scale.model.convnets.network import ConvNet
from landslide_scale.model.core.network import Network, counts_line, parameter_counts
from landslide_scale.model.core.precision import autocast
from landslide_scale.model.families import build, family, shape
from landslide_scale.model.landslidenet.network import LandslideNet
from landslide_scale.model.landslidenet.sam import random_base
from landslide_scale.model.weights import load_base

__all__ = [
    "ConvNet",
    "LandslideNet",
    "Network",
    "autocast",
    "build",
    "counts_line",
    "family",
    "load_base",
    "parameter_counts",
    "random_base",
    "shape",
]
