"""Pixels on which the map is to be trusted less, as rasters show them: bits of :mod:`landslide_scale.products.bits`.

They are those that hold of a pixel by itself. Flat ground and the user's layers are asked of whole polygons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.change.classes import NO_DATA
from landslide_scale.cube.arrays import Variable
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.bits import SNOW_NEAR_M, Advisory, Exclusion
from landslide_scale.products.classes import Colour, Shown
from landslide_scale.products.ground import advised, low_sun, rules, snow_near, water
from landslide_scale.products.plane import Plane, Read
from landslide_scale.products.scanned import Scanned

FLAGS = EXCLUSION, ADVISORY = "exclusion", "advisory"

_COLOURS: tuple[Colour, ...] = (
    (238, 238, 238), (86, 180, 233), (0, 114, 178), (0, 158, 115),
    (230, 159, 0), (240, 228, 66), (204, 121, 167), (213, 94, 0),
)  # fmt: skip
"""Of Okabe and Ito (Color Universal Design, 2008), behind a grey for no bit."""


def flags(of: Scanned, layer: int) -> tuple[Plane, Plane]:
    """Exclusion and advisory of a layer's pixels.

    Args:
        of: The scan.
        layer: Index of the window.
    """
    them = _Flags(of, layer)
    return them.exclusion, them.advisory


@dataclass(frozen=True)
class _Flags:
    of: Scanned
    layer: int

    @property
    def exclusion(self) -> Plane:
        """Bits of `Exclusion` that hold of a pixel by itself."""
        words: Mapping[int, str] = {
            Exclusion.SNOW_NEAR: f"snow or ice within {SNOW_NEAR_M} m",
            Exclusion.WATER: "looks like water",
        }

        def read(lattice: Lattice, box: PixelBox) -> NDArray[Any]:
            found = np.zeros(box.shape, np.uint8)
            for bit, where in (
                (Exclusion.SNOW_NEAR, snow_near(self.of, lattice, box, self.layer)),
                (Exclusion.WATER, water(self.of, lattice, box, self.layer)),
            ):
                found |= np.uint8(bit) * (np.zeros(box.shape, bool) if where is None else where)
            return self._observed(found, lattice, box)

        return self._bits(EXCLUSION, "ground on which the method is wrong more often than elsewhere", words, read)

    @property
    def advisory(self) -> Plane:
        """Bits of `Advisory`, but for what other windows say."""
        words: Mapping[int, str] = {
            Advisory.ONE_LOOK: "seen clear once",
            Advisory.OFFSET_INCONCLUSIVE: "a scene's offset is not certain",
            Advisory.LOW_SUN: "a scene with a low sun",
        }

        def read(lattice: Lattice, box: PixelBox) -> NDArray[Any]:
            looks = self.of.read_one(lattice, box, self.layer, "clear_count")
            found = np.where(looks <= 1, np.uint8(Advisory.ONE_LOOK), np.uint8(0))
            for zone, block, bits in self._advised:
                if zone == lattice and (common := block.intersection(box)) is not None:
                    found[common.within(box)] |= np.uint8(bits)
            return self._observed(found, lattice, box)

        return self._bits(ADVISORY, "what makes the map less sure", words, read)

    @cached_property
    def _advised(self) -> list[tuple[Lattice, PixelBox, int]]:
        """Blocks of the layer that were made of scenes to be less sure of, with the bits."""
        low = low_sun(self.of)
        blocks = [place for place in self.of.done if place.layer == self.layer]
        known = [(one.lattice, one.box, int(advised(rules(self.of, [one.id]), low))) for one in blocks]
        return [one for one in known if one[2]]

    def _observed(self, found: NDArray[np.uint8], lattice: Lattice, box: PixelBox) -> NDArray[np.uint8]:
        reason = self.of.read_one(lattice, box, self.layer, "reason")
        return np.where(reason == Reason.OBSERVED, found, np.uint8(NO_DATA))

    def _bits(self, name: str, meaning: str, words: Mapping[int, str], read: Read) -> Plane:
        """A plane of bits: a class for each of their sums."""
        most = sum(words)
        sums = {code: [text for bit, text in words.items() if code & bit] for code in range(most + 1)}
        shown = {code: Shown(_COLOURS[code], ", ".join(some) or "none") for code, some in sums.items()}
        variable = Variable(
            name=name,
            dtype="uint8",
            fill=NO_DATA,
            attributes={
                "long_name": meaning,
                "flag_masks": [int(bit) for bit in words],
                "flag_meanings": " ".join(text.replace(" ", "_") for text in words.values()),
            },
        )
        return Plane(variable=variable, layer=self.layer, read=read, coarser="largest", classes=shown)
