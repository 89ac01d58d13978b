"""What the scenes of a window saw of a block: mosaic by datatake, mask, composite.

One datatake is one observation of a pixel, however many tiles overlap there. Every decision is taken pixel by pixel,
in an order fixed by the scenes and not by the block, so any split of the ground into blocks gives the same image. One
datatake is in memory at a time; what a composite keeps of each is composite.py's concern.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import QUANTIFICATION, Reason, Scl
from landslide_scale.errors import ReadError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.claims import AnyButZero, Classes, Reflectance, UnaskedClasses
from landslide_scale.imagery.composite import HELD_BYTES, STRIP_BYTES, Image, Observation, compositing
from landslide_scale.imagery.mask import dilation_pixels, masked
from landslide_scale.imagery.raster import is_native, read_classes, read_numbers
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scene import Scene

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BYTES_PER_PIXEL = 48
"""Of what is held of one observation and of the image beside their reflectance, most of it for a moment."""

BYTES_BESIDE = 256 * 2**20
"""GDAL's caches, distances and warped positions of a strip, whatever the size of the box."""


def observe(
    scenes: Sequence[Scene], lattice: Lattice, box: PixelBox, bands: tuple[str, ...], config: CompositeConfig
) -> Image:
    """The composite of `scenes` over `box`.

    Raises:
        ReadError: A scene cannot be read; the error names scene and band.
        BrokenRunError: There is no room for a temporary file.
    """
    with compositing(box.shape, len(bands), config) as image:
        for take in _takes(scenes):
            wanted = image.wanted
            if not wanted.any():
                break
            seen = _observation(take, lattice, box, bands, config, wanted=wanted)
            if seen is not None:
                image.add(seen)
        return image.finish()


def planned_bytes(box: PixelBox, bands: int) -> int:
    """The most memory that observing a box takes, however many scenes there are; without the process itself."""
    rows, cols = box.shape
    held = HELD_BYTES * 9 // 8 + 3 * STRIP_BYTES  # a growing buffer; a strip, picked and sorted
    return rows * cols * (2 * 4 * bands + BYTES_PER_PIXEL) + held + BYTES_BESIDE


def _takes(scenes: Sequence[Scene]) -> list[list[Scene]]:
    """The scenes of each datatake, newest first."""
    ordered = sorted(scenes, key=lambda scene: (scene.datatake, scene.tile, scene.datastrip, scene.id))
    takes = [list(take) for _, take in groupby(ordered, key=lambda scene: scene.datatake)]
    return sorted(takes, key=lambda take: (_sensing_day(take), take[0].datatake), reverse=True)


def _sensing_day(take: Sequence[Scene]) -> int:
    """Day of a datatake from its name, which all its tiles share; their own instants differ by minutes."""
    stamp = take[0].datatake.split("_")[1] if "_" in take[0].datatake else ""
    try:
        begun = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        begun = min(scene.sensed for scene in take)
    return (begun - EPOCH).days


def _observation(
    take: Sequence[Scene],
    lattice: Lattice,
    box: PixelBox,
    bands: tuple[str, ...],
    config: CompositeConfig,
    *,
    wanted: NDArray[np.bool_],
) -> Observation | None:
    """What a datatake saw of `box`, its reflectance only where `wanted` (H, W); None where it saw nothing."""
    outer = box.pad(dilation_pixels(config, lattice))
    native = [scene for scene in take if is_native(scene.epsg, lattice)]
    members = [*native, *(scene for scene in take if not is_native(scene.epsg, lattice))]
    classes, owner = _mosaic(members, lattice, outer, config)
    if not classes.any():
        return None
    reason = masked(classes, config, lattice)
    inner = box.within(outer)
    reason, owner = reason[inner].copy(), owner[inner].copy()
    clear = (reason == Reason.OBSERVED) & wanted
    values, cover = _reflectance(_clear_parts(members, owner, clear), lattice, box, bands, config)
    lost = clear & np.isnan(values[0])
    clear &= ~lost
    reason[lost] = Reason.NO_DATA
    used = np.unique(owner[clear])
    warped = tuple(members[index].id for index in used if not is_native(members[index].epsg, lattice))
    return Observation(
        values=values, clear=clear, reason=reason, cloud_cover=cover, day=_sensing_day(take), resampled=warped
    )


def _mosaic(
    members: Sequence[Scene], lattice: Lattice, box: PixelBox, config: CompositeConfig
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Scene classes (H, W), and the index of the member each pixel is from: the first that has data there."""
    classes = np.zeros(box.shape, np.uint8)
    owner = np.full(box.shape, -1, np.int16)
    for index, scene in enumerate(members):
        lacking = classes == Scl.NO_DATA
        if not lacking.any():
            break
        with _naming(scene, "scl"):
            stored = Classes() if config.no_data == "stated" else UnaskedClasses()
            found = read_classes(scene.href("scl"), lattice, box, scene.access, stored).values
        found = np.maximum(found, Scl.NO_DATA).astype(np.uint8)
        taken = lacking & (found != Scl.NO_DATA)
        classes[taken], owner[taken] = found[taken], index
    return classes, owner


def _clear_parts(
    members: Sequence[Scene], owner: NDArray[np.int16], clear: NDArray[np.bool_]
) -> list[tuple[Scene, NDArray[np.bool_]]]:
    """The members that any clear pixel is from, with their clear pixels (H, W)."""
    parts = [(scene, clear & (owner == index)) for index, scene in enumerate(members)]
    return [(scene, mine) for scene, mine in parts if mine.any()]


def _reflectance(
    parts: Sequence[tuple[Scene, NDArray[np.bool_]]],
    lattice: Lattice,
    box: PixelBox,
    bands: tuple[str, ...],
    config: CompositeConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reflectance (C, H, W) of the clear pixels, NaN elsewhere and without data; cloud cover (H, W)."""
    values = np.full((len(bands), *box.shape), np.nan, np.float32)
    cover = np.zeros(box.shape, np.float32)
    lacking = _LACKING[config.no_data]
    for scene, mine in parts:
        part = _bounding(mine, box)
        cut = part.within(box)
        taken, missing = mine[cut], np.zeros((len(bands), *part.shape), bool)
        for index, band in enumerate(bands):
            numbers = _numbers(scene, band, lattice, part, config)
            missing[index] = np.isnan(numbers)
            numbers[missing[index]] = 0
            reflectance = (numbers + np.float32(scene.offset)) / np.float32(QUANTIFICATION)
            np.copyto(values[index, *cut], reflectance, where=taken)
        values[:, *cut][:, taken & lacking(missing, scene)] = np.nan
        cover[mine] = scene.cloud_cover
    return values, cover


def _lacking_any(missing: NDArray[np.bool_], scene: Scene) -> NDArray[np.bool_]:
    del scene
    return np.asarray(missing.any(axis=0))


def _lacking_all(missing: NDArray[np.bool_], scene: Scene) -> NDArray[np.bool_]:
    return np.asarray(missing.all(axis=0) & (not scene.zero_is_data))


_LACKING = {"stated": _lacking_any, "zeros": _lacking_all}
"""Whether a pixel (H, W) has no data, by ``composite.no_data``, from where its bands have none (C, H, W)."""


def _numbers(scene: Scene, band: str, lattice: Lattice, box: PixelBox, config: CompositeConfig) -> NDArray[np.float32]:
    """Digital numbers (H, W), NaN for none."""
    known = Reflectance(offset=scene.offset, zero=scene.zero_is_data)
    with _naming(scene, band):
        stored = known if config.no_data == "stated" else AnyButZero()
        return read_numbers(scene.href(band), lattice, box, scene.access, stored).values


def _bounding(mask: NDArray[np.bool_], box: PixelBox) -> PixelBox:
    """The smallest box around the true pixels of a mask over `box`."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return PixelBox(
        row_start=box.row_start + int(rows[0]),
        row_stop=box.row_start + int(rows[-1]) + 1,
        col_start=box.col_start + int(cols[0]),
        col_stop=box.col_start + int(cols[-1]) + 1,
    )


@contextmanager
def _naming(scene: Scene, band: str) -> Iterator[None]:
    """Adds scene and band to a read error on its way up."""
    try:
        yield
    except ReadError as error:
        raise error.at(scene=scene.id, band=band) from error
