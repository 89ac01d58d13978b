"""How good a map is: scores as counts that add up over images and workers, and what is chosen from them.

A score whose denominator is 0 is undefined and is ``nan``, never 0 or 1. Pixels labelled 255 take no part anywhere:
what is predicted there changes nothing, and beside them there is no border. Imports only the vocabulary; begin with
`confusion.py` for pixels and `maps.py` for whole maps.
"""

from __future__ import annotations

from landslide_scale.metrics.areas import AreaRatio, area_line, assumption
from landslide_scale.metrics.boundary import boundary, match_boundaries, match_pixels
from landslide_scale.metrics.components import Components
from landslide_scale.metrics.confusion import Confusion, Scores
from landslide_scale.metrics.intervals import Bounds, ByPlace, Estimate, HeldOut
from landslide_scale.metrics.least import LeastArea, by_least_area
from landslide_scale.metrics.logistic import fit_logistic
from landslide_scale.metrics.logits import LogitHistogram
from landslide_scale.metrics.maps import LEAST, LabelledMap, MapScores, judge
from landslide_scale.metrics.matches import Matches
from landslide_scale.metrics.objects import ObjectMatches
from landslide_scale.metrics.plain import nan_as_null
from landslide_scale.metrics.reliability import Recalibration, Reliability
from landslide_scale.metrics.sizes import SizeClass, by_size

__all__ = [
    "LEAST",
    "AreaRatio",
    "Bounds",
    "ByPlace",
    "Components",
    "Confusion",
    "Estimate",
    "HeldOut",
    "LabelledMap",
    "LeastArea",
    "LogitHistogram",
    "MapScores",
    "Matches",
    "ObjectMatches",
    "Recalibration",
    "Reliability",
    "Scores",
    "SizeClass",
    "area_line",
    "assumption",
    "boundary",
    "by_least_area",
    "by_size",
    "fit_logistic",
    "judge",
    "match_boundaries",
    "match_pixels",
    "nan_as_null",
]
