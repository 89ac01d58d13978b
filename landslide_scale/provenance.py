"""What is known of how a network came to be: the images it has seen, what they were like, and how it passed over them.

Plain dataclasses, as in `spec.py`; they travel in a checkpoint's JSON metadata, and None stands for what nobody says.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from landslide_scale.errors import InvalidConfigError
from landslide_scale.spec import SMALLEST_SIDE

NumberFormat = Literal["bf16", "float32"]
Precision = Literal["auto", "bf16", "float32"]

_SAME_RESOLUTION = 0.05
"""Relative difference."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How a network passed over the images by which its threshold and calibration were found; None where nobody says.

    Attributes:
        patch: Side of its squares in native pixels.
        halo: Pixels on each side of a square that a neighbour predicts too; 0 where each pixel was predicted once.
        precision: In which it computed.
    """

    patch: int | None = None
    halo: int | None = None
    precision: NumberFormat | None = None

    @property
    def known(self) -> dict[str, Any]:
        """What somebody says."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def __post_init__(self) -> None:
        for key, least in (("patch", SMALLEST_SIDE), ("halo", 0)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise InvalidConfigError(f"{key} {value}", expected=f"pixels, {least} or more", key=f"judged.{key}")


@dataclass(frozen=True, kw_only=True)
class ImageParts:
    """Which images a network has seen, and for what: hashes of their pixels, as they are stored.

    Attributes:
        train: Of those that it learnt from.
        validation: Of those that it was chosen and calibrated by.
        holdout: Of those that were kept from it, to score it.
        ground: Where chips of the first two lie: lattice, and in its metres south, east and side of each. None of
            images that lie on no lattice.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    holdout: tuple[str, ...]
    ground: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What is known of the images that a network learns from, or is shown; None where nobody says.

    Attributes:
        resolution: Metres of ground per pixel, above 0, as the network is shown them.
        method, clear, dilate_m: How scenes became one image, as in a configuration's ``composite``.
        mask: What else decided on a pixel than its scene class, a line for each rule.
        dem: Collection that elevation and slope are from, where they are among the bands.
        fair_share: Whether the images are a fair sample of some ground, so that landslides are as frequent among their
            pixels as there; False where they were picked for what they show.
    """

    resolution: float | None = None
    method: str | None = None
    clear: tuple[int, ...] | None = None
    dilate_m: float | None = None
    mask: tuple[str, ...] | None = None
    dem: str | None = None
    fair_share: bool | None = None

    @property
    def known(self) -> dict[str, Any]:
        """As records say it; without `mask` where it is not known, as before there was room for it."""
        return {key: value for key, value in asdict(self).items() if key != "mask" or value is not None}

    def __post_init__(self) -> None:
        if self.resolution is not None and not 0 < self.resolution < math.inf:
            raise InvalidConfigError(
                f"resolution {self.resolution}", expected="metres per pixel, above 0", key="trained_on.resolution"
            )
        if self.dilate_m is not None and not 0 <= self.dilate_m < math.inf:
            raise InvalidConfigError(
                f"dilate_m {self.dilate_m}", expected="metres, 0 or more", key="trained_on.dilate_m"
            )


def same_resolution(one: float, other: float) -> bool:
    """Whether two sizes of pixels, metres, are one: they differ by what is left of true metres in a projection, say."""
    return math.isclose(one, other, rel_tol=_SAME_RESOLUTION)
