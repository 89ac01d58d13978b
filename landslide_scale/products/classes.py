"""What products show alike: why a pixel holds no probability, in words and colours; and what reflectance is white."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from landslide_scale.bands import Reason

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


class Shown(NamedTuple):
    """How a class is shown."""

    colour: Colour
    words: str


REASONS: Mapping[int, Shown] = {
    Reason.OBSERVED: Shown((222, 222, 222), "observed"),
    Reason.CLOUD: Shown((86, 180, 233), "cloud"),
    Reason.CLOUD_SHADOW: Shown((0, 114, 178), "cloud shadow"),
    Reason.TERRAIN_SHADOW: Shown((213, 94, 0), "terrain shadow"),
    Reason.SNOW: Shown((240, 228, 66), "snow or ice"),
    Reason.UNCLASSIFIED: Shown((204, 121, 167), "not classified"),
    Reason.DEFECTIVE: Shown((0, 0, 0), "defective pixel"),
    Reason.NO_DATA: Shown((150, 150, 150), "no data"),
    Reason.NOT_SCANNED: Shown((255, 255, 255), "not scanned"),
    Reason.TOO_FEW_CLEAR: Shown((230, 159, 0), "seen clear too seldom"),
    Reason.NO_SCENE: Shown((90, 90, 90), "no scene in the catalogue"),
    Reason.PERSISTENT: Shown((0, 158, 115), "bright on every date: bright ground, or cloud that stays"),
}
"""Every reason, in the order of its code. The colours are those that colour-blind readers tell apart, of Okabe and Ito
(Color Universal Design, 2008), and greys."""

_BRIGHT = {"nir": 0.5, "nir08": 0.5, "rededge2": 0.5, "rededge3": 0.5}


def white(band: str) -> float:
    """Reflectance that is shown in full: plants are bright beyond the red edge."""
    return _BRIGHT.get(band, 0.25)
