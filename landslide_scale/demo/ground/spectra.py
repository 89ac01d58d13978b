"""Surface reflectance of the cover classes and how it changes through the summer."""

from __future__ import annotations

from datetime import date

import numpy as np

from landslide_scale.demo.ground.cover import Cover
from landslide_scale.demo.ground.noise import Field

BANDS = ("blue", "green", "red", "nir", "swir16")
"""Bands of the made scenes, in the order of the columns below."""

_MIDSUMMER = date(2023, 7, 1)
# Made by hand after the general shape of such spectra: reflectance 0 to 1 in early July, and what is added to it per
# 30 days. One row per `Cover`; columns as `BANDS`.
_SUMMER = (
    (0.020, 0.034, 0.022, 0.230, 0.090),  # conifer
    (0.023, 0.048, 0.028, 0.390, 0.160),  # broadleaf
    (0.036, 0.074, 0.056, 0.340, 0.210),  # grass
    (0.036, 0.064, 0.056, 0.260, 0.200),  # shrub
    (0.032, 0.076, 0.044, 0.400, 0.200),  # meadow
    (0.034, 0.070, 0.044, 0.430, 0.190),  # maize
    (0.072, 0.104, 0.132, 0.270, 0.320),  # stubble
    (0.083, 0.114, 0.149, 0.213, 0.285),  # ploughed
    (0.046, 0.056, 0.036, 0.020, 0.010),  # water
    (0.096, 0.126, 0.150, 0.208, 0.250),  # gravel
    (0.098, 0.116, 0.150, 0.205, 0.240),  # roof
    (0.092, 0.108, 0.118, 0.165, 0.180),  # paved
    (0.044, 0.074, 0.066, 0.270, 0.200),  # garden
    (0.090, 0.110, 0.128, 0.180, 0.215),  # rock
    (0.112, 0.148, 0.182, 0.250, 0.300),  # quarry
    (0.070, 0.100, 0.127, 0.215, 0.271),  # clear-cut
    (0.094, 0.126, 0.160, 0.222, 0.290),  # track
    (0.040, 0.048, 0.056, 0.100, 0.190),  # burnt
)
_PER_MONTH = (
    (0.001, 0.000, 0.001, -0.010, 0.004),
    (0.001, -0.002, 0.002, -0.035, 0.010),
    (0.004, 0.002, 0.010, -0.035, 0.015),
    (0.003, 0.002, 0.007, -0.020, 0.012),
    (0.002, 0.001, 0.006, -0.030, 0.010),
    (0.002, -0.002, 0.006, -0.030, 0.010),
    (0.016, 0.018, 0.026, 0.010, 0.030),
    (-0.002, -0.003, -0.004, -0.006, -0.006),
    (0.002, 0.004, 0.002, 0.000, 0.000),
    (0.000, 0.000, 0.000, 0.000, 0.000),
    (0.000, 0.000, 0.000, 0.000, 0.000),
    (0.000, 0.000, 0.000, 0.000, 0.000),
    (0.002, 0.000, 0.004, -0.020, 0.008),
    (0.000, 0.000, 0.000, 0.000, 0.000),
    (0.000, 0.000, 0.000, 0.000, 0.000),
    (-0.004, -0.003, -0.007, 0.010, -0.010),
    (0.000, 0.000, 0.000, 0.000, 0.000),
    (0.000, 0.002, 0.000, 0.006, 0.000),
)
SCAR = (0.088, 0.119, 0.151, 0.215, 0.280)
"""Bare debris, within a hundredth of ploughed soil, gravel, tracks and clear-cuts."""
HUE = (-0.03, -0.015, 0.015, 0.01, 0.01)
"""Change of the logarithm of reflectance, per band, from grey rock (-1) to red soil (+1): bare ground of every kind,
scars too, lies somewhere on this line, as the bedrock under it does."""
ROUGHNESS = (
    0.20, 0.14, 0.12, 0.16, 0.06, 0.06, 0.10, 0.16, 0.10, 0.20, 0.30, 0.20, 0.22, 0.25, 0.24, 0.22, 0.10, 0.25,
)  # fmt: skip
"""Relative spread of brightness inside each class, one per `Cover`."""


def reflectance_table(day: date) -> Field:
    """Reflectance of each `Cover` on a day, (classes, bands) float32."""
    months = (day - _MIDSUMMER).days / 30.0
    table = np.array(_SUMMER, dtype=np.float32) + np.float32(months) * np.array(_PER_MONTH, dtype=np.float32)
    if len(table) != len(Cover):
        raise AssertionError(f"{len(table)} spectra for {len(Cover)} classes")
    return np.clip(table, 0.002, 0.6)
