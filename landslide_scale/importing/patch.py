"""One file of Sen12Landslides: what it says of itself, and its pixels by band, frame, row and column.

Data paper: Sci Data 12, 1772 (2025). A file ``REGION_s2_N.nc`` holds frames of about a year over 128 x 128 pixels of
10 m: ten bands as L2A digital numbers, scene classes, and one mask of all landslides, the same in every frame. ``x``
and ``y`` are the upper left corners of pixels, not their centres.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.errors import InvalidDatasetError
from landslide_scale.importing.netcdf import NetCdf

NAME = re.compile(r"(?P<inventory>[A-Za-z0-9_-]+)_s2_(?P<number>\d+)")
"""Of a file, without its ending; the inventory may hold ``_`` too."""

BANDS = {
    "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05", "rededge2": "B06", "rededge3": "B07", "nir": "B08",
    "nir08": "B8A", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
"""Our names of the bands, and the files'."""

SIDE = 128
METRES = 10.0

_MOST_FRAMES = 100
_AXES = ("time", "y", "x")
_SINCE = re.compile(
    r"(days|hours|minutes|seconds|milliseconds|microseconds) since "
    r"(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)?)(?: ?(?:Z|UTC|\+00:00))?"
)
"""Published files have days; a library that writes them anew chooses what fits."""

_CALENDARS = ("proleptic_gregorian", "standard", "gregorian")
_LATTICE = 1e-3
"""Metres by which a pixel may lie off."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says of itself, without its pixels.

    Attributes:
        annotated: Whether landslides were drawn in it.
        dates: Of the events in it, as written, joined by commas; empty where it is not annotated.
        pairs: Of each event, numbers of the frames before it and after it, as written; likewise.
        confidence: How sure the dates are, as written, joined by commas; 1.0 is the inventory's own.
        crs: Its projected system, as ``EPSG:32632``.
        days: Of its frames, in their order; some may be there twice.
        left, top: Outer corner of its upper left pixel, metres.
    """

    annotated: bool
    dates: str
    pairs: str
    confidence: str
    crs: str
    days: tuple[date, ...]
    left: float
    top: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the outline, metres."""
        side = SIDE * METRES
        return self.left, self.top - side, self.left + side, self.top


@dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """What a file shows.

    Attributes:
        numbers: int16 (C, T, H, W), digital numbers of the bands in the order of :data:`BANDS`.
        classes: uint8 (T, H, W), scene classes of Sen2Cor; 255 is none of them.
        mask: uint8 (H, W), 1 is landslide, 0 is not.
    """

    numbers: NDArray[np.int16]
    classes: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def read_header(patch: NetCdf) -> Header:
    """What a file says of itself.

    Raises:
        InvalidDatasetError: It does not say all of it, or not as published.
    """
    left, top = _corner(patch)
    return Header(
        annotated=_is_true(patch),
        dates=patch.text("event_date"),
        pairs=patch.text("pre_post_dates"),
        confidence=patch.text("date_confidence"),
        crs=patch.text("crs"),
        days=_days(patch),
        left=left,
        top=top,
    )


def read_pixels(patch: NetCdf, frames: int) -> Pixels:
    """The pixels of a file of so many frames.

    Raises:
        InvalidDatasetError: A variable is missing or is not as published.
    """
    sizes = {"time": frames, "y": SIDE, "x": SIDE}
    numbers = np.stack([_numbers(patch, name, sizes) for name in BANDS.values()])
    classes = patch.array("SCL", _AXES, sizes)
    mask = patch.array("MASK", _AXES, sizes)
    if (mask != mask[:1]).any():
        raise InvalidDatasetError("MASK differs between frames", expected="one mask", file=patch.where)
    _check_values("MASK", mask, 0, 1, patch.where)
    _check_values("SCL", classes, 0, 255, patch.where)
    return Pixels(numbers=numbers, classes=classes.astype(np.uint8), mask=mask[0].astype(np.uint8))


def _numbers(patch: NetCdf, name: str, sizes: dict[str, int]) -> NDArray[np.int16]:
    """One band; what lies outside the published range is a fill value that was left in."""
    values = patch.array(name, _AXES, sizes)
    _check_values(name, values, 0, 10_000, patch.where)
    return values.astype(np.int16)


def _check_values(name: str, values: NDArray[Any], least: int, most: int, where: str) -> None:
    found = int(values.min()), int(values.max())
    if not least <= found[0] <= found[1] <= most:
        raise InvalidDatasetError(f"{name} from {found[0]} to {found[1]}", expected=f"{least} to {most}", file=where)


def _is_true(patch: NetCdf) -> bool:
    text = patch.text("annotated")
    if text not in {"True", "False"}:
        raise InvalidDatasetError(f"annotated {text!r}", expected="True or False", file=patch.where)
    return text == "True"


def _days(patch: NetCdf) -> tuple[date, ...]:
    """Days of the frames, ascending."""
    units, calendar = patch.text("units", of="time"), patch.text("calendar", of="time")
    since = _SINCE.fullmatch(units)
    values = patch.array("time", ("time",), {}, kinds="iuf")
    if since is None or calendar not in _CALENDARS or not 1 <= len(values) <= _MOST_FRAMES:
        raise InvalidDatasetError(
            f"time of {len(values)} frames in {units!r}, {calendar!r}",
            expected=f"1 to {_MOST_FRAMES} frames in days since a day, proleptic_gregorian",
            file=patch.where,
        )
    if not np.isfinite(values).all() or (values[1:] < values[:-1]).any():
        raise InvalidDatasetError("time that is no ascending row", expected="one", file=patch.where)
    try:
        first = datetime.fromisoformat(since[2])
        return tuple((first + timedelta(**{since[1]: value})).date() for value in values.tolist())
    except (ValueError, OverflowError) as error:
        raise InvalidDatasetError(f"time ({error})", expected="days of the calendar", file=patch.where) from None


def _corner(patch: NetCdf) -> tuple[float, float]:
    """Outer corner of the upper left pixel: the first x and y, which the geotransform must bear out."""
    x, y = (patch.array(axis, (axis,), {axis: SIDE}, kinds="f") for axis in ("x", "y"))
    steps = METRES * np.arange(SIDE)
    written = patch.text("GeoTransform", of="spatial_ref")
    expected = f"{float(x[0])} {METRES} 0.0 {float(y[0])} 0.0 {-METRES}"
    regular = np.abs(x - x[0] - steps).max() <= _LATTICE and np.abs(y - y[0] + steps).max() <= _LATTICE
    if not regular or not _alike(written, expected):  # nor for NaN
        raise InvalidDatasetError(
            f"x from {x[0]}, y from {y[0]}, GeoTransform {written!r}",
            expected=f"upper left corners of pixels of {METRES:g} m, x eastwards and y southwards",
            file=patch.where,
        )
    return float(x[0]), float(y[0])


def _alike(written: str, expected: str) -> bool:
    try:
        numbers = [float(word) for word in written.split()]
    except ValueError:
        return False
    wanted = [float(word) for word in expected.split()]
    return len(numbers) == len(wanted) and bool(np.allclose(numbers, wanted, rtol=0, atol=_LATTICE))
