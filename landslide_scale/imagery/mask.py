"""Which pixels of one datatake count, and why the others do not: scene classes, some of them grown.

On a lattice coarser than the classes this is decided at the mask's own pixels, not at one of them a cell: the lattice
is divided into squares of which cells and mask pixels are whole multiples. Classes, growth and reflectance are found
there, strip by strip, and gathered into cells: a cell is observed where a share of its squares is clear, and its
reflectance is the mean of those alone. Nothing depends on where a strip, or a block, begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason, Scl, reasons
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.geotiff import Source

DILATED_ROWS = 512
"""Rows of a mask that are dilated at a time, so that they stay in a processor's cache."""


FINEST_M = 5
"""Metres; smaller squares would be many. Where only they divide both, classes are taken at the nearest pixel."""

STRIP_BYTES = 512 * 2**20
"""Of the squares of a strip, whatever their number in a cell."""

SQUARE_BYTES, BAND_BYTES = 72, 5
"""Of one square: its classes, reasons and the pixels of one band; its reflectance in each."""


RULE_BYTES, DATES_BYTES = 10, 24
"""Of one pixel or square: for each asset that rules are about, and for the test of persistence."""


def mask_bytes(config: CompositeConfig) -> int:
    """Of one pixel or square, what a mask takes beside the scene classes."""
    return RULE_BYTES * (len(config.assets) - 1) + (DATES_BYTES if config.persistence is not None else 0)


def masked(
    classes: NDArray[np.uint8], within: NDArray[np.bool_], config: CompositeConfig, lattice: Lattice
) -> NDArray[np.uint8]:
    """The :class:`Reason` of each pixel (H, W), observed where its class is clear and none that is grown is near.

    Args:
        classes: Of a datatake; 0 where it has no data.
        within: Where any of its scenes lies: a pixel without data in it is the edge of the swath, but for a hole.
        config: What is clear, and what is grown.
        lattice: Of these pixels.
    """
    reason = reasons(classes, config.clear)
    out = _dilated(classes, reason, config.grown, config.dilate_m / lattice.resolution)
    if config.edge_m:
        # Of two reasons the smaller is told.
        edge = near(within & (classes == Scl.NO_DATA), config.edge_m / lattice.resolution)
        out[(out == Reason.OBSERVED) & edge] = Reason.NO_DATA
    return out


def dilation_pixels(config: CompositeConfig, lattice: Lattice) -> int:
    """Pixels around a box of which something grows into it."""
    return math.ceil(config.reach_m / lattice.resolution)


def looked_around(config: CompositeConfig, lattice: Lattice) -> int:
    """Half the side, in pixels, of the square of surroundings that the test of persistence looks at; 0 without it."""
    return 0 if config.persistence is None else max(1, math.floor(config.persistence.around_m / lattice.resolution))


def reaching_pixels(config: CompositeConfig, lattice: Lattice) -> int:
    """Pixels around a box on which what is decided in it depends."""
    around = 0 if config.persistence is None else math.ceil(config.persistence.around_m / lattice.resolution)
    return dilation_pixels(config, lattice) + around


def _dilated(
    classes: NDArray[np.uint8], reason: NDArray[np.uint8], grown: tuple[int, ...], radius: float
) -> NDArray[np.uint8]:
    """`reason` with clear pixels within `radius` pixels (closed, centre to centre) of a grown class taken out.

    They get the reason of that class; of several the smallest.
    """
    out = reason.copy()
    clear = reason == Reason.OBSERVED
    why = {code: int(reasons(np.array([code], np.uint8), ())[0]) for code in grown}
    for one in sorted(set(why.values()), reverse=True):
        members = [code for code in grown if why[code] == one]
        out[clear & near(np.isin(classes, members), radius)] = one
    return out


def near(seeds: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Where (H, W) a seed lies within `radius` pixels, closed, centre to centre; by strips of rows."""
    out, along = np.zeros(seeds.shape, bool), _along(radius)
    reach = len(along) - 1
    for top in range(0, len(seeds), DILATED_ROWS):
        low, stop = max(0, top - reach), min(top + DILATED_ROWS, len(seeds))
        around = seeds[low : stop + reach]
        if around.any():
            _grow(around, along, out[top:stop], top - low)
    return out


@lru_cache(maxsize=64)
def _along(radius: float) -> tuple[int, ...]:
    """How many pixels a disk reaches along a row, by how many rows that is off its centre."""
    reach = range(math.floor(radius) + 1)
    return tuple(max(far for far in reach if math.sqrt(far * far + off * off) <= radius) for off in reach)


def _grow(seeds: NDArray[np.bool_], along: Sequence[int], out: NDArray[np.bool_], top: int) -> None:
    """Mark in `out`, the rows from `top` on of those of `seeds` (H, W), what disks around the seeds cover."""
    wide, reached = seeds.copy(), 0
    for off in reversed(range(len(along))):  # the further off, the narrower: what is wide is made wider
        for step in range(reached + 1, along[off] + 1):
            wide[:, step:] |= seeds[:, :-step]
            wide[:, :-step] |= seeds[:, step:]
        reached = along[off]
        for rows in {off, -off}:
            first = max(0, -(top + rows))
            part = wide[top + rows + first : max(0, top + rows + len(out))]  # none beyond the edge
            out[first : first + len(part)] |= part


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One datatake over a box of pixels or of squares.

    Attributes:
        values: (C, H, W) float32 surface reflectance; NaN where not `clear`.
        clear: (H, W) bool, where it is to be used.
        reason: (H, W) uint8 :class:`Reason`.
        cloud_cover: (H, W) float32 percent of the scene that each clear pixel is from.
    """

    values: NDArray[np.float32]
    clear: NDArray[np.bool_]
    reason: NDArray[np.uint8]
    cloud_cover: NDArray[np.float32]

    @classmethod
    def nothing(cls, shape: tuple[int, int], bands: int) -> Seen:
        """Ground without data."""
        return cls(
            values=np.full((bands, *shape), np.nan, np.float32),
            clear=np.zeros(shape, bool),
            reason=np.full(shape, Reason.NO_DATA, np.uint8),
            cloud_cover=np.zeros(shape, np.float32),
        )


def decided_on(lattice: Lattice, source: Source) -> Lattice:
    """The lattice of squares for the classes of `source`: `lattice` itself, or one whose pixels divide its own.

    Sentinel-2's classes have 20 m and begin at multiples of that, so that all tiles have the same squares.
    """
    sides = [lattice.resolution, source.resolution]
    if source.epsg == lattice.zone.epsg:
        x0, y0 = lattice.zone.origin
        common = _common([*sides, source.west - x0, y0 - source.north])
        if common >= FINEST_M:
            return replace(lattice, resolution=common)
    common = _common(sides)
    if common < FINEST_M:
        parts = (part for part in range(1, lattice.resolution + 1) if lattice.resolution % part == 0)
        common = min(side for part in parts if (side := lattice.resolution // part) >= source.resolution or part == 1)
    return replace(lattice, resolution=common)


def _common(lengths: Sequence[float]) -> int:
    """The greatest common divisor of lengths in metres; 0 where any is not whole."""
    if any(not math.isclose(length, round(length), abs_tol=1e-6) for length in lengths):
        return 0
    return math.gcd(*(round(length) for length in lengths))


def strips(box: PixelBox, factor: int, bands: int, of_mask: int = 0) -> Iterator[PixelBox]:
    """`box` by whole rows, so that the `factor` x `factor` squares of all pixels of a strip fit what is set aside."""
    rows, cols = box.shape
    size = factor * factor * cols * (SQUARE_BYTES + BAND_BYTES * bands + of_mask)
    step = rows if factor == 1 else max(1, STRIP_BYTES // size)
    for top in range(box.row_start, box.row_stop, step):
        yield replace(box, row_start=top, row_stop=min(top + step, box.row_stop))


def squares(box: PixelBox, factor: int) -> PixelBox:
    """The squares of the pixels of `box`."""
    return PixelBox(
        row_start=box.row_start * factor,
        row_stop=box.row_stop * factor,
        col_start=box.col_start * factor,
        col_stop=box.col_stop * factor,
    )


def spread(cells: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Of every square what is true of its cell."""
    if factor == 1:
        return cells
    return cells.repeat(factor, axis=0).repeat(factor, axis=1)


def enough(clear: NDArray[np.bool_], factor: int, share: float) -> NDArray[np.bool_]:
    """Cells (H, W) of whose squares at least `share` are clear."""
    least = math.ceil(share * factor * factor - 1e-9)
    return clear if factor == least == 1 else _count(clear, factor) >= least


def gathered(seen: Seen, factor: int, share: float, wanted: NDArray[np.bool_]) -> Seen:
    """Squares as cells (H, W): observed where `share` of them is clear, used where `wanted` too.

    A cell that is not observed has the commonest reason of its squares; of equals the smallest.
    """
    if factor == 1:
        return seen
    observed = enough(seen.reason == Reason.OBSERVED, factor, share)
    clear = observed & wanted
    count = np.maximum(_count(seen.clear, factor), 1)
    values = np.stack([_total(np.where(seen.clear, band, 0), factor) / count for band in seen.values])
    cover = _total(np.where(seen.clear, seen.cloud_cover, 0), factor) / count
    return Seen(
        values=np.where(clear, values, np.nan).astype(np.float32),
        clear=clear,
        reason=np.where(observed, np.uint8(Reason.OBSERVED), _commonest(seen.reason, factor)),
        cloud_cover=cover.astype(np.float32),
    )


def joined(parts: Sequence[Seen]) -> Seen:
    """Strips, from the top, as one."""
    if len(parts) == 1:
        return parts[0]
    return Seen(
        values=np.concatenate([part.values for part in parts], axis=1),
        **{
            name: np.concatenate([getattr(part, name) for part in parts]) for name in ("clear", "reason", "cloud_cover")
        },
    )


def _commonest(reason: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    most = np.zeros((reason.shape[0] // factor, reason.shape[1] // factor), np.intp)
    out = np.full(most.shape, Reason.NO_DATA, np.uint8)
    for why in sorted(set(np.unique(reason).tolist()) - {int(Reason.OBSERVED)}):
        count = _count(reason == why, factor)
        more = count > most
        out[more], most[more] = why, count[more]
    return out


def _count(squares: NDArray[np.bool_], factor: int) -> NDArray[np.intp]:
    return _sum(squares, factor, np.dtype(np.intp))


def _total(squares: NDArray[np.float32], factor: int) -> NDArray[np.float64]:
    return _sum(squares, factor, np.dtype(np.float64))


def _sum(squares: NDArray[Any], factor: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Of the squares of each cell, one after the other: NumPy's own order would depend on the width."""
    of_rows = np.zeros((squares.shape[0] // factor, squares.shape[1]), kind)
    for row in range(factor):
        of_rows += squares[row::factor]
    out = np.zeros((of_rows.shape[0], of_rows.shape[1] // factor), kind)
    for col in range(factor):
        out += of_rows[:, col::factor]
    return out
