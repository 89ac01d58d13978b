"""What the scenes of a window saw of a block: mosaic by datatake, mask, composite.

One datatake is one observation of a pixel, however many tiles overlap there. Every decision is taken pixel by pixel,
in an order fixed by the scenes and not by the block, so any split of the ground into blocks gives the same image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landslide_scale.bands import DILATED_CLASSES, QUANTIFICATION, Reason, Scl, reasons
from landslide_scale.config import CompositeConfig
from landslide_scale.errors import ReadError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.raster import is_native, read_classes, read_numbers
from landslide_scale.scene import Scene

NEVER = 65_535
"""`observed_on` of a pixel that no scene saw clear."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OBSERVATIONS_FOR_MEDIAN = 3


@dataclass(frozen=True, kw_only=True)
class Image:
    """The composite of a box of pixels.

    Attributes:
        values: (C, H, W) float32 surface reflectance; NaN where no scene saw the pixel clear.
        clear_count: (H, W) uint8 clear observations, one per datatake; 255 means 255 or more.
        observed_on: (H, W) uint16 days since 1970-01-01 of the newest clear observation used; 65535 where none.
        reason: (H, W) uint8 :class:`Reason`.
        resampled: Ids of scenes of another coordinate system whose pixels were used.
    """

    values: NDArray[np.float32]
    clear_count: NDArray[np.uint8]
    observed_on: NDArray[np.uint16]
    reason: NDArray[np.uint8]
    resampled: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One datatake over a box of pixels: `values` NaN and `reason` above 0 where it is not clear."""

    values: NDArray[np.float32]
    reason: NDArray[np.uint8]
    cloud_cover: NDArray[np.float32]
    day: int
    resampled: tuple[str, ...]


def observe(
    scenes: Sequence[Scene], lattice: Lattice, box: PixelBox, bands: tuple[str, ...], config: CompositeConfig
) -> Image:
    """The composite of `scenes` over `box`.

    Raises:
        ReadError: A scene cannot be read; the error names scene and band.
    """
    return _composite(list(_observations(scenes, lattice, box, bands, config)), len(bands), box, config)


def dilation_pixels(config: CompositeConfig, lattice: Lattice) -> int:
    """Pixels around a box that can cast cloud or shadow into it."""
    return math.ceil(config.dilate_m / lattice.resolution)


def _observations(
    scenes: Sequence[Scene], lattice: Lattice, box: PixelBox, bands: tuple[str, ...], config: CompositeConfig
) -> Iterator[Observation]:
    """One for each datatake, newest first."""
    ordered = sorted(scenes, key=lambda scene: (scene.datatake, scene.tile, scene.datastrip, scene.id))
    takes = [list(take) for _, take in groupby(ordered, key=lambda scene: scene.datatake)]
    for take in sorted(takes, key=lambda take: (_sensing_day(take), take[0].datatake), reverse=True):
        observation = _observation(take, lattice, box, bands, config)
        if observation is not None:
            yield observation


def _sensing_day(take: Sequence[Scene]) -> int:
    """Day of a datatake from its name, which all its tiles share; their own instants differ by minutes."""
    stamp = take[0].datatake.split("_")[1] if "_" in take[0].datatake else ""
    try:
        begun = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        begun = min(scene.sensed for scene in take)
    return (begun - EPOCH).days


def _observation(
    take: Sequence[Scene], lattice: Lattice, box: PixelBox, bands: tuple[str, ...], config: CompositeConfig
) -> Observation | None:
    outer = box.pad(dilation_pixels(config, lattice))
    native = [scene for scene in take if is_native(scene.epsg, lattice)]
    foreign = [scene for scene in take if not is_native(scene.epsg, lattice)]
    classes, owner = _mosaic([*native, *foreign], lattice, outer)
    if not classes.any():
        return None
    reason = _dilated(classes, reasons(classes, config.clear), config.dilate_m / lattice.resolution)
    inner = box.within(outer)
    reason, owner = reason[inner].copy(), owner[inner]
    members = [*native, *foreign]
    parts = _clear_parts(members, owner, reason == Reason.OBSERVED)
    values, cover = _reflectance(parts, lattice, box, bands)
    reason[(reason == Reason.OBSERVED) & np.isnan(values[0])] = Reason.NO_DATA
    used = np.unique(owner[reason == Reason.OBSERVED])
    warped = tuple(members[index].id for index in used if not is_native(members[index].epsg, lattice))
    return Observation(values=values, reason=reason, cloud_cover=cover, day=_sensing_day(take), resampled=warped)


def _mosaic(members: Sequence[Scene], lattice: Lattice, box: PixelBox) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Scene classes (H, W), and the index of the member each pixel is from: the first that has data there."""
    classes = np.zeros(box.shape, np.uint8)
    owner = np.full(box.shape, -1, np.int16)
    for index, scene in enumerate(members):
        lacking = classes == Scl.NO_DATA
        if not lacking.any():
            break
        with _naming(scene, "scl"):
            found = read_classes(scene.href("scl"), lattice, box, scene.access)
        taken = lacking & (found != Scl.NO_DATA)
        classes[taken], owner[taken] = found[taken], index
    return classes, owner


def _dilated(classes: NDArray[np.uint8], reason: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """`reason` with clear pixels within `radius` pixels (closed, centre to centre) of cloud or shadow taken out."""
    out = reason.copy()
    clear = reason == Reason.OBSERVED
    shadows = (Scl.CLOUD_SHADOW,)
    clouds = tuple(scene_class for scene_class in DILATED_CLASSES if scene_class not in shadows)
    for members, why in ((shadows, Reason.CLOUD_SHADOW), (clouds, Reason.CLOUD)):
        seeds = np.isin(classes, members)
        if seeds.any():
            out[clear & (distance_transform_edt(~seeds) <= radius)] = why
    return out


def _clear_parts(
    members: Sequence[Scene], owner: NDArray[np.int16], clear: NDArray[np.bool_]
) -> list[tuple[Scene, NDArray[np.bool_]]]:
    """The members that any clear pixel is from, with their clear pixels (H, W)."""
    parts = [(scene, clear & (owner == index)) for index, scene in enumerate(members)]
    return [(scene, mine) for scene, mine in parts if mine.any()]


def _reflectance(
    parts: Sequence[tuple[Scene, NDArray[np.bool_]]], lattice: Lattice, box: PixelBox, bands: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reflectance (C, H, W) of the clear pixels, NaN elsewhere and without data in any band; cloud cover (H, W)."""
    values = np.full((len(bands), *box.shape), np.nan, np.float32)
    cover = np.zeros(box.shape, np.float32)
    for scene, mine in parts:
        part = _bounding(mine, box)
        cut = part.within(box)
        numbers = np.stack([_numbers(scene, band, lattice, part) for band in bands])
        held = mine[cut] & (scene.zero_is_data | numbers.any(axis=0))
        values[:, *cut][:, held] = (numbers[:, held] + np.float32(scene.offset)) / np.float32(QUANTIFICATION)
        cover[mine] = scene.cloud_cover
    return values, cover


def _numbers(scene: Scene, band: str, lattice: Lattice, box: PixelBox) -> NDArray[np.float32]:
    with _naming(scene, band):
        return read_numbers(scene.href(band), lattice, box, scene.access)


def _bounding(mask: NDArray[np.bool_], box: PixelBox) -> PixelBox:
    """The smallest box around the true pixels of a mask over `box`."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return PixelBox(
        row_start=box.row_start + int(rows[0]),
        row_stop=box.row_start + int(rows[-1]) + 1,
        col_start=box.col_start + int(cols[0]),
        col_stop=box.col_start + int(cols[-1]) + 1,
    )


def _composite(observations: Sequence[Observation], channels: int, box: PixelBox, config: CompositeConfig) -> Image:
    reason = np.full(box.shape, Reason.NO_DATA, np.uint8)
    count = np.zeros(box.shape, np.uint16)
    newest = np.full(box.shape, NEVER, np.uint16)
    for seen in observations:
        clear = seen.reason == Reason.OBSERVED
        np.minimum(reason, seen.reason, out=reason)
        count += clear
        newest[clear & (newest == NEVER)] = seen.day
    if config.method == "least_cloudy":
        values, newest = _least_cloudy(observations, channels, box)
    elif config.method == "latest" or not observations:
        values = _first(observations, channels, box)
    else:
        values = _median(observations, count, channels, box)
    return Image(
        values=values,
        clear_count=np.minimum(count, 255).astype(np.uint8),
        observed_on=newest,
        reason=reason,
        resampled=tuple(sorted({name for seen in observations for name in seen.resampled})),
    )


def _first(observations: Iterable[Observation], channels: int, box: PixelBox) -> NDArray[np.float32]:
    """The first clear observation of each pixel; they come newest first."""
    values = np.full((channels, *box.shape), np.nan, np.float32)
    for seen in observations:
        np.copyto(values, seen.values, where=np.isnan(values))
    return values


def _least_cloudy(
    observations: Iterable[Observation], channels: int, box: PixelBox
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """The clear observation from the scene with the least cloud; of equals the newest. Also the day of it."""
    values = np.full((channels, *box.shape), np.nan, np.float32)
    day = np.full(box.shape, NEVER, np.uint16)
    least = np.full(box.shape, np.inf, np.float32)
    for seen in observations:
        better = (seen.reason == Reason.OBSERVED) & (seen.cloud_cover < least)
        np.copyto(values, seen.values, where=better)
        day[better], least[better] = seen.day, seen.cloud_cover[better]
    return values, day


def _median(
    observations: Sequence[Observation], count: NDArray[np.uint16], channels: int, box: PixelBox
) -> NDArray[np.float32]:
    """Median of each band over the clear observations; the newest one where there are fewer than three."""
    values = _first(observations, channels, box)
    enough = count >= OBSERVATIONS_FOR_MEDIAN
    if enough.any():
        upper = count[enough].astype(np.intp) // 2
        lower = (count[enough].astype(np.intp) - 1) // 2
        for band in range(channels):
            stack = np.sort(np.stack([seen.values[band][enough] for seen in observations]), axis=0)  # NaN sorts last
            middle = np.take_along_axis(stack, np.stack([lower, upper]), axis=0)
            values[band][enough] = (middle[0] + middle[1]) / np.float32(2)
    return values


@contextmanager
def _naming(scene: Scene, band: str) -> Iterator[None]:
    """Adds scene and band to a read error on its way up."""
    try:
        yield
    except ReadError as error:
        raise error.at(scene=scene.id, band=band) from error
