"""LandslideNet: the network, its parts and its base weights. Needs torch, segment-anything and numpy only."""

from landslide_scale.model.landslidenet import LandslideNet, build, parameter_counts
from landslide_scale.model.precision import autocast
from landslide_scale.model.sam import random_base
from landslide_scale.model.weights import load_base

__all__ = ["LandslideNet", "autocast", "build", "load_base", "parameter_counts", "random_base"]
