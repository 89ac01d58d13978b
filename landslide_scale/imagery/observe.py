"""What the scenes of a window saw of a block: mosaic by datatake, mask, composite.

One datatake is one observation of a pixel, however many tiles and processings overlap there. Every decision is taken
pixel by pixel, in an order fixed by the scenes and not by the block, so any split of the ground into blocks gives the
same image. Some datatakes are read while one is: each is a chain of requests, of which a server answers many at once.
What a composite keeps of each is composite.py's concern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.composite import HELD_BYTES, SORTING_BYTES, Composite, Image, Observation, compositing
from landslide_scale.imagery.datatake import Datatake, readers
from landslide_scale.imagery.dates import persistence
from landslide_scale.imagery.mask import STRIP_BYTES as SQUARES_BYTES
from landslide_scale.imagery.mask import mask_bytes
from landslide_scale.imagery.persistence import Persistent
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.threads import in_order
from landslide_scale.scene import Scene, by_processing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BYTES_PER_PIXEL = 48
"""Of what is held of one observation and of the image beside their reflectance, most of it for a moment."""

BYTES_BESIDE = 256 * 2**20
"""GDAL's caches, distances and warped positions of a strip, whatever the size of the box."""

TAKES_AHEAD = 2
"""Datatakes at most that are read while another one is, as far as memory is set aside for them."""

AHEAD_BYTES = 768 * 2**20
"""Of what is read ahead."""

TAKE_BYTES_PER_PIXEL = 56
"""Of a datatake that is read, beside its reflectance: its mask, and the bands that are read at once."""

FINEST_MASK_M = 10
"""Metres; the pixels of a coarser lattice are divided."""


def observe(
    scenes: Sequence[Scene], lattice: Lattice, box: PixelBox, bands: tuple[str, ...], config: CompositeConfig
) -> Image:
    """The composite of `scenes` over `box`.

    Raises:
        ReadError: A scene cannot be read; the error names scene and band.
        BrokenRunError: There is no room for a temporary file.
    """
    takes = [(take, Datatake.of(take, lattice, bands, config)) for take in _takes(scenes, config)]
    known = persistence([datatake for _, datatake in takes], box)
    held = np.zeros(box.shape, bool)
    ahead = _ahead(box, len(bands), lattice.resolution, config)
    with compositing(box.shape, len(bands), config) as image:
        for seen in in_order(_looks(takes, box, known, image), readers, ahead=ahead):
            if seen is not None:
                if known:
                    held |= seen.reason == Reason.PERSISTENT
                image.add(seen)
        return _told(image.finish(), held)


def _looks(
    takes: Iterable[tuple[Sequence[Scene], Datatake]],
    box: PixelBox,
    known: Mapping[Lattice, Persistent],
    image: Composite,
) -> Iterator[Callable[[], Observation | None]]:
    """What is to be done to see each datatake, until nothing more of them is wanted."""
    for take, datatake in takes:
        wanted = image.wanted
        if not wanted.any():
            return
        yield partial(_observation, take, datatake, box, wanted, known)


def _ahead(box: PixelBox, bands: int, resolution: int, config: CompositeConfig) -> int:
    """How many further datatakes are read while one is: none where it depends on one what is wanted of the next."""
    if config.max_clear is not None:
        return 0
    return min(TAKES_AHEAD, AHEAD_BYTES // _take_bytes(box, bands, resolution, mask_bytes(config)))


def _take_bytes(box: PixelBox, bands: int, resolution: int, of_mask: int) -> int:
    """Of one datatake that is read."""
    rows, cols = box.shape
    divided = SQUARES_BYTES if resolution > FINEST_MASK_M else 0
    return rows * cols * (4 * bands + TAKE_BYTES_PER_PIXEL + of_mask) + divided


def _told(image: Image, held: NDArray[np.bool_]) -> Image:
    """The image with the reason of pixels (H, W) that a date found persistent, before every other but being seen."""
    seen = (image.reason == Reason.OBSERVED) | (image.reason == Reason.TOO_FEW_CLEAR)
    image.reason[held & ~seen] = Reason.PERSISTENT
    return image


def planned_bytes(box: PixelBox, bands: int, resolution: int = FINEST_MASK_M, of_mask: int = 0) -> int:
    """The most memory that observing a box takes, however many scenes there are; without the process itself.

    Args:
        box: With all that is read around it.
        bands: How many.
        resolution: Of its lattice, metres.
        of_mask: Bytes of a pixel that its mask takes, beside those of the scene classes alone.
    """
    rows, cols = box.shape
    divided = SQUARES_BYTES if resolution > FINEST_MASK_M else 0
    one = rows * cols * (2 * 4 * bands + BYTES_PER_PIXEL + of_mask) + divided
    ahead = min(TAKES_AHEAD * _take_bytes(box, bands, resolution, of_mask), AHEAD_BYTES)
    return one + ahead + HELD_BYTES + SORTING_BYTES + BYTES_BESIDE


def _takes(scenes: Sequence[Scene], config: CompositeConfig) -> list[list[Scene]]:
    """The scenes of each datatake, newest first, each in the order in which they fill its mosaic."""
    ordered = sorted(scenes, key=lambda scene: (scene.datatake, scene.tile, scene.datastrip, scene.id))
    takes = [list(take) for _, take in groupby(ordered, key=lambda scene: scene.datatake)]
    if config.processings == "ordered":
        takes = [[scene for _, scene in by_processing(take)] for take in takes]
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
    datatake: Datatake,
    box: PixelBox,
    wanted: NDArray[np.bool_],
    known: Mapping[Lattice, Persistent],
) -> Observation | None:
    """What a datatake saw of `box`, its reflectance only where `wanted` (H, W); None where it saw nothing."""
    found = datatake.over(box, wanted, known[datatake.fine] if known else None)
    if found is None:
        return None
    seen, used, resampled = found
    older = {scene.id for place, scene in by_processing(take) if place}
    return Observation(
        values=seen.values,
        clear=seen.clear,
        reason=seen.reason,
        cloud_cover=seen.cloud_cover,
        day=_sensing_day(take),
        resampled=tuple(sorted(resampled)),
        filled=tuple(sorted(used & older)),
    )
