"""Two layers of a scan beside each other, pixel by pixel, read box by box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.change import classes, joining, rdndvi, ripening
from landslide_scale.change.classes import ChangeClass, Mask, Side
from landslide_scale.change.rdndvi import Reals
from landslide_scale.cube.arrays import PROBABILITY_SCALE, Layer
from landslide_scale.errors import InvalidConfigError, InvalidInputError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.change.settings import Change
from landslide_scale.products.marks import Marked
from landslide_scale.products.scanned import Scanned

NEEDED = ("red", "nir")
"""Bands that the cube must keep for rdNDVI."""


class Slopes(Protocol):
    """What is asked of an elevation model."""

    @property
    def slope(self) -> NDArray[np.floating]:
        """(H, W) degrees, NaN where there is none."""


Terrain = Callable[[Scanned, Lattice, PixelBox], Slopes]
"""Gives the slopes of any box inside what the zone's group covers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """What is known of a box, arrays (H, W).

    Attributes:
        after: The layer after.
        classes: uint8 of `ChangeClass`, and `NO_DATA`.
        both: Where it was observed on both sides.
        rdndvi: int16, stored steps.
        lost: Where vegetation was lost; without a network, on slopes alone, as candidates are.
    """

    after: Layer
    classes: NDArray[np.uint8]
    both: NDArray[np.bool_]
    rdndvi: NDArray[np.int16]
    lost: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A layer before and one after of one scan.

    Attributes:
        of: The scan.
        how: Which layers, and what counts as a loss.
        step: Stored probability from which on a pixel is landslide; not looked at of a scan without a network.
        terrain: Slopes of its ground; None where the run has no elevation model: then none are asked.
    """

    of: Scanned
    how: Change
    step: int
    terrain: Terrain | None = None

    def __post_init__(self) -> None:
        """Refuse layers that cannot be compared.

        Raises:
            InvalidConfigError: The cube has no such layer, or the one before does not end before the other begins.
            InvalidInputError: There is neither a network nor the bands that rdNDVI is made of.
        """
        windows = self.of.windows
        if max(self.how.before, self.how.after) >= len(windows):
            raise InvalidConfigError(
                f"layers {self.how.before} and {self.how.after} of {len(windows)}",
                expected=f"0 to {len(windows) - 1}: " + "; ".join(window.days for window in windows),
                key="--change",
            )
        before, after = windows[self.how.before], windows[self.how.after]
        if before.until > after.start:
            raise InvalidConfigError(
                f"{before.instants} before {after.instants}",
                expected="a layer that ends before the other begins",
                key="--change",
            )
        if not self.learned and not self.has_vegetation:
            raise InvalidInputError(
                f"a scan without a network that keeps {', '.join(self.of.laid.bands) or 'no band'}",
                expected=f"{' and '.join(NEEDED)} in output.keep, which vegetation is judged by",
                cure="Scan again with output.keep: [red, green, blue, nir].",
                run=self.of.run,
            )

    @property
    def learned(self) -> bool:
        """Whether a network is a witness; else there are candidates alone."""
        return self.of.learned

    @property
    def has_vegetation(self) -> bool:
        """Whether the cube keeps what rdNDVI is made of."""
        return set(NEEDED) <= set(self.of.laid.bands)

    def pixels(self, lattice: Lattice, box: PixelBox) -> Pixels:
        """All that is known of a box inside what the zone's group covers."""
        if not self.learned:
            return self._candidates(lattice, box)
        wide = box.pad(joining.GROWTH).intersection(self.of.extents[lattice]) or box
        return _cut(self._joined(lattice, wide), box.within(wide))

    def _joined(self, lattice: Lattice, box: PixelBox) -> Pixels:
        """What a network and plants say together; near the edges of the box what comes from beyond it is lacking."""
        before, after = (self.of.read(lattice, box, layer) for layer in (self.how.before, self.how.after))
        sides = self._side(before), self._side(after)
        both = sides[0].seen & sides[1].seen
        ndvi = self._ndvi(lattice, box, both)
        stored = self._rdndvi(ndvi, both)
        lost = rdndvi.lost(stored, self.how.loss)
        new = joining.new(
            *sides,
            certain=both & joining.sure(*(_probability(layer) for layer in (before, after))),
            judged=(stored != rdndvi.FILL) & joining.could_lose(ndvi[0], self.how.loss),
            lost=lost,
        )
        found = classes.learned(*sides, new, after.reason != Reason.NOT_SCANNED)
        return Pixels(after=after, classes=found, both=both, rdndvi=stored, lost=lost)

    def _candidates(self, lattice: Lattice, box: PixelBox) -> Pixels:
        """What plants say alone."""
        before, after = (self.of.read(lattice, box, layer) for layer in (self.how.before, self.how.after))
        seen, asked = after.reason == Reason.OBSERVED, after.reason != Reason.NOT_SCANNED
        both = (before.reason == Reason.OBSERVED) & seen
        stored = self._rdndvi(self._ndvi(lattice, box, both), both)
        lost = rdndvi.lost(stored, self.how.loss)
        steep, sloped = self._slopes(lattice, box)
        found = classes.candidates(
            seen=seen, comparable=both & (stored != rdndvi.FILL) & sloped, lost=lost, steep=steep, asked=asked
        )
        return Pixels(after=after, classes=found, both=both, rdndvi=stored, lost=lost & steep & sloped)

    def marked(self, lattice: Lattice, box: PixelBox) -> Marked:
        """What of a box becomes polygons."""
        known = self.pixels(lattice, box)
        return Marked(mask=classes.reported(known.classes), both=known.both, lost=known.lost, rdndvi=known.rdndvi)

    def status(self, known: Pixels) -> NDArray[np.uint8]:
        """(H, W) of `Status`, and `NO_DATA`."""
        sure = ripening.high(known.classes, self._side(known.after).landslide)
        return ripening.ripened(known.classes, known.after.clear_count, sure, finished=self.how.finished)

    @cached_property
    def network_alone_m2(self) -> int:
        """Ground of class `NETWORK_ALONE`, of which no polygons are made."""
        blocks = {(place.lattice, place.block): place.box for place in self.of.done if place.layer == self.how.after}
        return sum(
            lattice.resolution**2 * int((self.pixels(lattice, box).classes == ChangeClass.NETWORK_ALONE).sum())
            for (lattice, _), box in blocks.items()
        )

    def _side(self, layer: Layer) -> Side:
        seen = layer.reason == Reason.OBSERVED
        return Side(seen=seen, landslide=seen & (layer.probability >= self.step))

    def _ndvi(self, lattice: Lattice, box: PixelBox, both: Mask) -> tuple[Reals, Reals]:
        """Before and after, (H, W), NaN where unknown: all of it where the cube has not the bands."""
        if not self.has_vegetation or not both.any():
            nothing = np.full(box.shape, np.nan, np.float32)
            return nothing, nothing
        layers = (self.how.before, self.how.after)
        bands = [self.of.read_reflectance(lattice, box, layer, NEEDED) for layer in layers]
        before, after = (rdndvi.ndvi(*(one[name] for name in NEEDED)) for one in bands)
        return before, after

    def _rdndvi(self, ndvi: tuple[Reals, Reals], both: Mask) -> NDArray[np.int16]:
        return np.where(both, rdndvi.packed(rdndvi.rdndvi(*ndvi)), np.int16(rdndvi.FILL))

    def _slopes(self, lattice: Lattice, box: PixelBox) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(H, W) what is steep enough, and where the slope is known; all of it where slopes are not asked."""
        if self.terrain is None:
            return np.ones(box.shape, bool), np.ones(box.shape, bool)
        slope = self.terrain(self.of, lattice, box).slope
        return np.asarray(slope >= self.how.least_slope_deg), np.isfinite(slope)


def _probability(layer: Layer) -> Reals:
    """(H, W), 0 to 1; of any value where nothing was observed."""
    return layer.probability * np.float32(PROBABILITY_SCALE)


def _cut(known: Pixels, part: tuple[slice, slice]) -> Pixels:
    """A part of what is known."""
    after = Layer(
        **{name: values[part] for name, values in known.after.arrays.items() if name not in known.after.bands},
        bands={name: values[part] for name, values in known.after.bands.items()},
    )
    return Pixels(
        after=after,
        classes=known.classes[part],
        both=known.both[part],
        rdndvi=known.rdndvi[part],
        lost=known.lost[part],
    )
