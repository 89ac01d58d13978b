"""Shaking as a ShakeMap has it on a grid: from ``grid.xml``, or from its coverage as JSON.

A node of the grid stands for the cell around it, so that the ground shaken is made of whole cells and its area is
theirs. XML is read without entities: a document that declares any is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidFeedError
from landslide_scale.events.feed import as_object
from landslide_scale.events.land import Land

MOST_NODES = 25_000_000
"""Of one grid; a large one of a great earthquake has a million."""

LONGEST_AXIS = 40_000
"""Nodes along one side."""

MOST_FIELDS = 64

_AGREES = 0.6
"""Of the spacing, by which a node may lie off its place: positions are rounded to 1e-4 degrees."""

_TURN = 360.0
_STRONGEST = 12.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ShakingGrid:
    """Intensities on a grid of longitudes and latitudes.

    Attributes:
        mmi: (H, W) float32, Modified Mercalli intensity, north first; NaN where it is not known.
        west, north: Of the first node, degrees; longitudes go on beyond 180.
        dx, dy: Between nodes, degrees, both positive.
    """

    mmi: NDArray[np.float32]
    west: float
    north: float
    dx: float
    dy: float

    def __post_init__(self) -> None:
        steps = (self.dx, self.dy, self.west, self.north)
        rows, cols = self.mmi.shape
        if not np.isfinite(steps).all() or min(self.dx, self.dy) <= 0 or self.dx * (cols - 1) > _TURN:
            raise InvalidFeedError(f"a grid from {self.west}, {self.north} by {self.dx}, {self.dy}", expected="degrees")
        if max(self.north, (rows - 1) * self.dy - self.north) > 90:  # noqa: PLR2004 the poles
            raise InvalidFeedError(f"a grid of latitudes from {self.north} on", expected="-90 to 90")
        if not np.nanmax(self.mmi, initial=0.0) <= _STRONGEST:
            raise InvalidFeedError(f"an intensity of {np.nanmax(self.mmi):g}", expected=f"at most {_STRONGEST:g}")

    @property
    def lon(self) -> NDArray[np.float64]:
        """Of the nodes, (W,)."""
        return np.asarray(self.west + self.dx * np.arange(self.mmi.shape[1]), np.float64)

    @property
    def lat(self) -> NDArray[np.float64]:
        """Of the nodes, (H,)."""
        return np.asarray(self.north - self.dy * np.arange(self.mmi.shape[0]), np.float64)

    @property
    def max_mmi(self) -> float:
        """The strongest shaking; 0 where none is known."""
        return float(np.nanmax(self.mmi, initial=0.0))

    def max_mmi_on(self, land: Land) -> float:
        """The strongest shaking of land; 0 where there is no land."""
        over = [
            float(np.nanmax(np.where(land.share(self.lon, np.full_like(self.lon, lat)) > 0, row, 0.0), initial=0.0))
            for lat, row in zip(self.lat, self.mmi, strict=True)
        ]
        return max(over)

    def ground(self, least_mmi: float) -> BaseGeometry:
        """The cells (degrees) of all nodes shaken so or more, as one geometry; longitudes may be beyond 180."""
        rows, cols = self.mmi.shape
        x = self.west + self.dx * (np.arange(cols + 1) - 0.5)
        y = np.clip(self.north - self.dy * (np.arange(rows + 1) - 0.5), -90, 90)
        shaken = np.pad(self.mmi >= least_mmi, ((0, 0), (1, 1)))
        edges = np.diff(shaken.astype(np.int8), axis=1)
        row, first = np.nonzero(edges == 1)
        _, last = np.nonzero(edges == -1)
        return shapely.union_all(shapely.box(x[first], y[row + 1], x[last], y[row]))


class _Document:
    """What is taken of a ``grid.xml``: the specification, the names of columns, the numbers."""

    def __init__(self) -> None:
        self.specification: dict[str, str] = {}
        self.fields: dict[int, str] = {}
        self.pieces: list[str] = []
        self._in_data = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._in_data = name == "grid_data"
        if name == "grid_specification":
            self.specification = dict(attributes)
        elif name == "grid_field" and len(self.fields) < MOST_FIELDS:
            self.fields[int(attributes["index"])] = attributes["name"].upper()

    def end(self, _: str) -> None:
        self._in_data = False

    def text(self, text: str) -> None:
        if self._in_data:
            self.pieces.append(text)


def parse_grid_xml(content: bytes) -> ShakingGrid:
    """The intensities of a ``grid.xml``.

    Raises:
        InvalidFeedError: It is none, is cut off, or declares a document type.
    """
    document = _Document()
    parser = expat.ParserCreate(namespace_separator=None)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.text
    try:
        parser.Parse(content, True)  # noqa: FBT003 expat's
        return _grid(document)
    except (expat.ExpatError, KeyError, ValueError, OverflowError, IndexError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidFeedError(f"no grid of a ShakeMap ({said})", expected="a grid.xml, whole") from None


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it declares a document type")


def _grid(document: _Document) -> ShakingGrid:
    said = document.specification
    cols, rows = int(said["nlon"]), int(said["nlat"])
    west, east, south, north = (float(said[key]) for key in ("lon_min", "lon_max", "lat_min", "lat_max"))
    columns = {name: index - 1 for index, name in document.fields.items()}
    count = len(columns)
    if min(cols, rows) < 2 or cols * rows > MOST_NODES:  # noqa: PLR2004 a spacing takes two
        raise ValueError(f"{rows} x {cols} nodes")
    if sorted(columns.values()) != list(range(count)):
        raise ValueError(f"columns {sorted(document.fields)}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of text that is no numbers
        try:
            numbers = np.fromstring("".join(document.pieces), sep=" ")
        except DeprecationWarning as error:
            raise ValueError("grid_data that is no numbers") from error
    if numbers.size != rows * cols * count:
        raise ValueError(f"{numbers.size} numbers, not {rows} x {cols} x {count}")
    table = numbers.reshape(rows, cols, count)
    grid = ShakingGrid(
        mmi=table[:, :, columns["MMI"]].astype(np.float32),
        west=west,
        north=north,
        dx=(east - west + (_TURN if east < west else 0.0)) / (cols - 1),
        dy=(north - south) / (rows - 1),
    )
    _check_places(grid, table[:, :, columns["LON"]], table[:, :, columns["LAT"]])
    return grid


def _check_places(grid: ShakingGrid, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
    """Make sure that nodes are where the specification says: row by row from the north, each from the west."""
    east = (lon - grid.lon[None, :] + _TURN / 2) % _TURN - _TURN / 2
    if not (np.abs(east).max() <= _AGREES * grid.dx and np.abs(lat - grid.lat[:, None]).max() <= _AGREES * grid.dy):
        raise ValueError("nodes that are not where its specification says")


def parse_coverage(content: bytes) -> ShakingGrid:
    """The intensities of a ``coverage_mmi_*.covjson`` (CoverageJSON, a Grid of x and y).

    The USGS writes rows from the south on, and rounds to tenths (shakemap, ``coremods/coverage.py``): ground of 6 is
    then that of 5.95, a little more than the grid's.

    Raises:
        InvalidFeedError: It is none.
    """
    coverage = as_object(content, "coverage")
    try:
        axes, values = coverage["domain"]["axes"], coverage["ranges"]["MMI"]
        x, y = _axis(axes["x"]), _axis(axes["y"])
        names = [name for name in values["axisNames"] if name in {"x", "y"}]
        mmi = np.array([np.nan if value is None else value for value in values["values"]], np.float32)
        mmi = mmi.reshape(y.size, x.size) if names == ["y", "x"] else mmi.reshape(x.size, y.size).T
        if y[0] < y[-1]:
            y, mmi = y[::-1], mmi[::-1]
        if x[0] > x[-1]:
            x = np.where(x < x[0], x + _TURN, x)
        return ShakingGrid(
            mmi=mmi,
            west=float(x[0]),
            north=float(y[0]),
            dx=float(x[-1] - x[0]) / (x.size - 1),
            dy=float(y[0] - y[-1]) / (y.size - 1),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise InvalidFeedError(
            f"no coverage of intensities ({said})", expected="a Grid of MMI over x and y, as CoverageJSON"
        ) from None


def _axis(said: Mapping[str, Any]) -> NDArray[np.float64]:
    """Places of an axis: listed, or evenly from start to stop."""
    if "values" in said:
        values = np.array(said["values"], np.float64)
        if not np.allclose(np.diff(values), np.diff(values)[:1], rtol=0.01):
            raise ValueError("an axis that is not even")
    else:
        if not 2 <= int(said["num"]) <= LONGEST_AXIS:  # noqa: PLR2004
            raise ValueError(f"an axis of {said['num']} places")
        values = np.linspace(float(said["start"]), float(said["stop"]), int(said["num"]))
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():  # noqa: PLR2004
        raise ValueError("an axis of fewer than two places")
    return values
