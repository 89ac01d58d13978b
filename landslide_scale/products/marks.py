"""What else than a layer's probability may make a pixel part of a polygon, and what it then says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landslide_scale.grid import Lattice, PixelBox


@dataclass(frozen=True, kw_only=True, eq=False)
class Marked:
    """Pixels of a box, arrays (H, W).

    Attributes:
        mask: What becomes a polygon.
        both: Where it was seen before too.
        lost: Where vegetation was lost.
        rdndvi: Stored steps of `change/rdndvi.py`; all fill where the cube has not the bands for it.
    """

    mask: NDArray[np.bool_]
    both: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    rdndvi: NDArray[np.int16]


class Marks(Protocol):
    """Marks the pixels of a layer."""

    @property
    def learned(self) -> bool:
        """Whether a network is a witness; else polygons are candidates of vegetation loss."""

    def marked(self, lattice: Lattice, box: PixelBox) -> Marked:
        """The pixels of a box inside what the zone's group covers; units that are not done have none."""
