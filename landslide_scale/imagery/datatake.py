"""What one datatake saw: its scenes mosaicked, masked, and their reflectance where it is clear."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import PROBABILITIES, QUANTIFICATION, Reason, Scl, reasons
from landslide_scale.errors import PermanentReadError, ReadError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.mask import (
    FINEST_M,
    Seen,
    decided_on,
    enough,
    gathered,
    joined,
    looked_around,
    mask_bytes,
    spread,
    squares,
    strips,
)
from landslide_scale.imagery.mask_settings import CERTAIN
from landslide_scale.imagery.persistence import Persistent, judged_box, suspected
from landslide_scale.imagery.rules import Look, decided
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.claims import OUTSIDE, Answers, AnyButZero, Classes, Reflectance, Stored, UnaskedClasses
from landslide_scale.reading.raster import Pixels, fits, is_native, read_classes, read_numbers, source
from landslide_scale.reading.resampling import AVERAGED, NEAREST, POINTS, cached_rows
from landslide_scale.reading.threads import Crew, in_order
from landslide_scale.redaction import redacted
from landslide_scale.scene import Scene

BANDS_AHEAD = 3
"""Of a scene, that are read while another one is."""

readers = Crew("reader")
"""Whoever reads something of a unit while something else of it is read."""


@dataclass(frozen=True, kw_only=True)
class Datatake:
    """The scenes of one datatake over a lattice.

    Attributes:
        members: Those of the lattice's own system first; where they overlap, the first with data decides.
        lattice: What is asked about are its pixels.
        bands: What is read where it is clear.
        config: By which rules.
    """

    members: tuple[Scene, ...]
    lattice: Lattice
    bands: tuple[str, ...]
    config: CompositeConfig

    @classmethod
    def of(cls, scenes: Sequence[Scene], lattice: Lattice, bands: tuple[str, ...], config: CompositeConfig) -> Datatake:
        """The datatake that these scenes are of, in their order."""
        native = [scene for scene in scenes if is_native(scene.epsg, lattice)]
        foreign = [scene for scene in scenes if not is_native(scene.epsg, lattice)]
        return cls(members=(*native, *foreign), lattice=lattice, bands=bands, config=config)

    @cached_property
    def fine(self) -> Lattice:
        """The squares that are decided on, see ``mask.py``: whole multiples of them are the pixels of all masks."""
        sides = [one.resolution for one in self._own_squares.values()] or [self.lattice.resolution]
        common = math.gcd(*sides)
        return replace(self.lattice, resolution=common if common >= FINEST_M else min(sides))

    @cached_property
    def _own_squares(self) -> dict[str, Lattice]:
        """Of the squares that each asset of the mask would be decided on alone, by its name."""
        if self.config.decided_at == "lattice":
            return {}
        first, found = self.members[0], dict[str, Lattice]()
        for asset in self.config.assets:
            with _naming(first, asset):
                found[asset] = decided_on(self.lattice, source(first.href(asset), first.access))
        return found

    @property
    def factor(self) -> int:
        """Squares along the side of a pixel."""
        return self.lattice.resolution // self.fine.resolution

    def over(
        self, box: PixelBox, wanted: NDArray[np.bool_], persistent: Persistent | None = None
    ) -> tuple[Seen, set[str], set[str]] | None:
        """What it saw of `box`, its reflectance only where `wanted` (H, W); None where it saw nothing.

        Args:
            box: Pixels of the lattice.
            wanted: (H, W) of it.
            persistent: What of its squares is persistent, where that is asked for.

        Returns:
            What it saw, the ids of the scenes whose pixels are used, and of those that were resampled for that.

        Raises:
            ReadError: A scene cannot be read; the error names scene and band.
        """
        parts, used, resampled, any_data = [], set[str](), set[str](), False
        for strip in strips(box, self.factor, len(self.bands), mask_bytes(self.config)):
            found = self._strip(strip, wanted[strip.within(box)], persistent)
            any_data |= found is not None
            seen, names, elsewhere = found or (Seen.nothing(strip.shape, len(self.bands)), set[str](), set[str]())
            parts.append(seen)
            used |= names
            resampled |= elsewhere
        return (joined(parts), used, resampled) if any_data else None

    def _strip(
        self, box: PixelBox, wanted: NDArray[np.bool_], persistent: Persistent | None
    ) -> tuple[Seen, set[str], set[str]] | None:
        inner = squares(box, self.factor)
        found = self._reasons(inner, persistent)
        if found is None:
            return None
        reason, owner = found
        clear = reason == Reason.OBSERVED
        clear &= spread(wanted & enough(clear, self.factor, self.config.clear_share), self.factor)
        values, cover, elsewhere = self._reflectance(owner, clear, inner)
        lost = clear & np.isnan(values[0])
        if lost.any():
            clear &= ~lost
            reason[lost] = Reason.NO_DATA
        seen = Seen(values=values, clear=clear, reason=reason, cloud_cover=cover)
        seen = gathered(seen, self.factor, self.config.clear_share, wanted)
        chosen = np.where(clear & spread(seen.clear, self.factor), owner, np.int16(-1))
        used = {index for index in range(len(self.members)) if (chosen == index).any()}
        return seen, self._ids(used), self._ids(used & elsewhere)

    def _ids(self, indexes: Iterable[int]) -> set[str]:
        return {self.members[index].id for index in indexes}

    def _reasons(
        self, inner: PixelBox, persistent: Persistent | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16]] | None:
        """Why squares are not used (H, W), and the index of the scene each is from; None where there is no data."""
        outer = judged_box(inner, self.config, self.fine)
        wide = outer.pad(looked_around(self.config, self.fine))
        look = self.look(wide, self.fine)
        near, cut = look.cut(outer.within(wide)), inner.within(outer)
        if not near.classes.any():
            return None
        if persistent is None:
            return decided(near, self.config, self.fine)[cut].copy(), near.owner[cut].copy()
        held = persistent.over(outer) & suspected(look, self.config, self.fine)
        reason = decided(near, self.config, self.fine, held if persistent.observed else None)
        reason[held & (reason != Reason.OBSERVED)] = Reason.PERSISTENT
        return reason[cut].copy(), near.owner[cut].copy()

    def look(self, box: PixelBox, on: Lattice) -> Look:
        """What the assets of its mask say of a box of a lattice.

        Raises:
            ReadError: A scene cannot be read; the error names scene and asset.
        """
        classes, owner, within = self._mosaic(box, on)
        answers = {}
        if len(self.config.assets) > 1:
            clear = (reasons(classes, self.config.clear) == Reason.OBSERVED).any()  # else nothing else is asked
            answers = {
                asset: self._answers(asset, owner, box, on) if clear else np.full(box.shape, OUTSIDE, np.int16)
                for asset in self.config.assets[1:]
            }
        return Look(classes=classes, owner=owner, within=within, answers=answers)

    def _answers(self, asset: str, owner: NDArray[np.int16], box: PixelBox, on: Lattice) -> NDArray[np.int16]:
        """What an asset of the scene that each pixel is from says of it (H, W); -1 where that is nothing."""
        out = np.full(box.shape, OUTSIDE, np.int16)
        stored = Answers(largest=CERTAIN) if asset in PROBABILITIES else Answers()
        for index, scene in enumerate(self.members):
            mine = owner == index
            part = box.around(mine)
            if part is not None:
                found = self._codes(scene, asset, part, on, stored)
                np.copyto(out[part.within(box)], found, where=mine[part.within(box)])
        return out

    def _mosaic(self, box: PixelBox, on: Lattice) -> tuple[NDArray[np.uint8], NDArray[np.int16], NDArray[np.bool_]]:
        """Scene classes (H, W), the index of the first member that has data there, and where any member lies."""
        stored = Classes() if self.config.no_data == "stated" else UnaskedClasses()
        classes = np.zeros(box.shape, np.uint8)
        owner = np.full(box.shape, -1, np.int16)
        within = np.zeros(box.shape, bool)
        for index, scene in enumerate(self.members):
            lacking = classes == Scl.NO_DATA
            if not lacking.any():
                break
            found = self._codes(scene, "scl", box, on, stored)
            within |= found != OUTSIDE
            taken = lacking & (found > Scl.NO_DATA)
            np.copyto(classes, found, where=taken, casting="unsafe")  # all of them fit
            np.copyto(owner, np.int16(index), where=taken)
        return classes, owner, within

    def _codes(self, scene: Scene, asset: str, box: PixelBox, on: Lattice, stored: Stored) -> NDArray[np.int16]:
        """Of an asset of a mask (H, W), -1 outside the scene."""
        with _naming(scene, asset):
            found = read_classes(scene.href(asset), on, box, scene.access, NEAREST.of(stored))
            own = self._own_squares.get(asset)
            if own is not None and decided_on(self.lattice, found.source) != own:
                raise PermanentReadError(
                    f"classes of {found.source.resolution:g} m at {found.source.west:g}, {found.source.north:g}",
                    expected=f"{own.resolution} m as their largest common part with the lattice of "
                    f"{self.lattice.resolution} m, as in scene {self.members[0].id} of the same datatake",
                    file=redacted(scene.href(asset)),
                )
        return found.values

    def _reflectance(
        self, owner: NDArray[np.int16], clear: NDArray[np.bool_], box: PixelBox
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], set[int]]:
        """Reflectance (C, H, W) of clear pixels, NaN elsewhere and without data; cloud cover (H, W); the resampled."""
        values = np.empty((len(self.bands), *box.shape), np.float32)
        cover = np.zeros(box.shape, np.float32)
        unread, elsewhere = np.ones(box.shape, bool), set[int]()
        for index, scene in enumerate(self.members):
            mine = clear & (owner == index)
            part = box.around(mine)
            if part is None:
                continue
            cut = part.within(box)
            out, taken = values[:, *cut], mine[cut]
            reads = [partial(self._band, scene, band, part, taken, out[at]) for at, band in enumerate(self.bands)]
            missing, resampled = zip(*in_order(reads, readers, ahead=BANDS_AHEAD), strict=True)
            if any(resampled):
                elsewhere.add(index)
            lacking = taken & _LACKING[self.config.no_data](missing, scene)
            if lacking.any():
                np.copyto(out, np.float32(np.nan), where=lacking)
            np.copyto(cover, np.float32(scene.cloud_cover), where=mine)
            unread &= ~mine
        np.copyto(values, np.float32(np.nan), where=unread)
        return values, cover, elsewhere

    def _band(
        self, scene: Scene, band: str, part: PixelBox, taken: NDArray[np.bool_], out: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], bool]:
        """Put one band of a scene into `out` (H, W) of a part where it is `taken`.

        Returns:
            Where it has no data, and whether its pixels were not taken whole.
        """
        found = self._numbers(scene, band, part)
        missing = np.empty(part.shape, bool)
        for rows in cached_rows(part.shape):
            reflectance = found.values[rows]
            np.isnan(reflectance, out=missing[rows])
            if self.config.no_data == "zeros":
                reflectance[missing[rows]] = 0
            reflectance += np.float32(scene.offset)
            reflectance /= np.float32(QUANTIFICATION)
            np.copyto(out[rows], reflectance, where=taken[rows])
        return missing, self._resampled(scene, found)

    def _numbers(self, scene: Scene, band: str, box: PixelBox) -> Pixels:
        known = Reflectance(offset=scene.offset, zero=scene.zero_is_data)
        stored = known if self.config.no_data == "stated" else AnyButZero()
        method = AVERAGED if self.config.decided_at == "mask" else POINTS
        with _naming(scene, band):
            return read_numbers(scene.href(band), self.fine, box, scene.access, method.of(stored))

    def _resampled(self, scene: Scene, found: Pixels) -> bool:
        """Whether pixels of a scene were not taken whole."""
        if self.config.decided_at == "lattice":
            return not is_native(scene.epsg, self.lattice)
        return not fits(found.source, self.lattice)


def _lacking_any(missing: Sequence[NDArray[np.bool_]], scene: Scene) -> NDArray[np.bool_]:
    del scene
    return np.asarray(np.logical_or.reduce(missing))


def _lacking_all(missing: Sequence[NDArray[np.bool_]], scene: Scene) -> NDArray[np.bool_]:
    return np.asarray(np.logical_and.reduce(missing) & (not scene.zero_is_data))


_LACKING = {"stated": _lacking_any, "zeros": _lacking_all}
"""Whether a pixel (H, W) has no data, by ``composite.no_data``, from where each of its bands has none."""


@contextmanager
def _naming(scene: Scene, band: str) -> Iterator[None]:
    """Adds scene and band to a read error on its way up."""
    try:
        yield
    except ReadError as error:
        raise error.at(scene=scene.id, band=band) from error
