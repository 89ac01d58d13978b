"""What the seven real scenes say of a lattice, by rasterio, pyproj and NumPy alone: nothing of the product is asked.

All is decided at squares of 60 m, the largest common part of lattices of 60 and 120 m and of the mask, whose pixels of
120 m begin half a cell off them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.ndimage import binary_dilation

FILES = {"red": "B04", "green": "B03", "blue": "B02", "scl": "SCL"}
BANDS = ("red", "green", "blue")
FINE = 60
STORED = 120
OUTSIDE = 255
EPOCH = date(1970, 1, 1)


class Direct:
    """The scenes of EPSG:32633 over squares of the same system.

    Args:
        x, y: Centres of columns and rows, metres.
        scenes: Folder of the scenes.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64], scenes: Path) -> None:
        self.x, self.y = x, y
        takes: dict[str, list[Path]] = {}
        for path in sorted(scenes.glob("*/item.json")):
            takes.setdefault(json.loads(path.read_text())["properties"]["s2:datatake_id"], []).append(path.parent)
        # Tile 33TWL before 33TWM; newest datatake first.
        newest_first = sorted(takes, key=lambda name: name.split("_")[1], reverse=True)
        self.takes = [sorted(takes[name], key=lambda folder: folder.name.split("_")[1]) for name in newest_first]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of squares."""
        return len(self.y), len(self.x)

    @property
    def days(self) -> list[int]:
        """Of each datatake, since 1970-01-01."""
        return [(date.fromisoformat(take[0].name.split("_")[2]) - EPOCH).days for take in self.takes]

    def classes(self, folder: Path) -> NDArray[Any]:
        """The mask's pixel under every centre, `OUTSIDE` the file that."""
        return self._under(folder, "scl", OUTSIDE)

    def numbers(self, folder: Path, band: str) -> NDArray[Any]:
        """A band's numbers of every square, 0 outside the file."""
        return self._under(folder, band, 0)

    def _under(self, folder: Path, name: str, outside: int) -> NDArray[Any]:
        values, transform = _file(folder, name)
        cols = np.floor((self.x - transform.c) / STORED).astype(int)
        rows = np.floor((transform.f - self.y) / STORED).astype(int)
        held_rows, held_cols = (rows >= 0) & (rows < values.shape[0]), (cols >= 0) & (cols < values.shape[1])
        out = np.full(self.shape, outside, values.dtype)
        out[np.ix_(held_rows, held_cols)] = values[np.ix_(rows[held_rows], cols[held_cols])]
        return out

    def observations(
        self,
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.uint8], list[tuple[Path, NDArray[np.bool_]]]]]:
        """Per datatake: clear, classes, and which folder each square is from."""
        for take in self.takes:
            classes = np.zeros(self.shape, np.uint8)
            within = np.zeros(classes.shape, bool)
            sources = []
            for folder in take:
                found = self.classes(folder)
                within |= found != OUTSIDE
                found[found == OUTSIDE] = 0
                mine = (classes == 0) & (found != 0)
                classes[mine] = found[mine]
                sources.append((folder, mine))
            # 100 m reaches all eight neighbours of a square of 60 m (84.9 m) and not the next (120 m).
            spoilt = binary_dilation(np.isin(classes, (3, 8, 9)), np.ones((3, 3), bool))
            # 60 m from the edge of a swath reach the next square on each side, and none across a corner.
            edge = binary_dilation(within & (classes == 0))
            yield np.isin(classes, (4, 5, 6)) & ~spoilt & ~edge, classes, sources


class DirectElsewhere(Direct):
    """The same over squares of another system: the class under each centre, numbers between the four nearest pixels.

    Args:
        x, y: As before, in `epsg`.
        scenes: As before.
        epsg: Of the squares.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64], scenes: Path, epsg: int) -> None:
        super().__init__(x, y, scenes)
        moved = Transformer.from_crs(epsg, 32633, always_xy=True)
        self.east, self.north = moved.transform(*np.meshgrid(x, y))

    def _under(self, folder: Path, name: str, outside: int) -> NDArray[Any]:
        values, transform = _file(folder, name)
        rows = np.floor((transform.f - self.north) / STORED).astype(int)
        cols = np.floor((self.east - transform.c) / STORED).astype(int)
        return _at(values, rows, cols, outside)

    def numbers(self, folder: Path, band: str) -> NDArray[Any]:
        """Between the pixels with data; a pixel without is none, however near others are."""
        values, transform = _file(folder, band)
        down = (transform.f - self.north) / STORED - 0.5
        right = (self.east - transform.c) / STORED - 0.5
        above, left = np.floor(down).astype(int), np.floor(right).astype(int)
        total, weight = np.zeros(self.shape), np.zeros(self.shape)
        for row, of_row in ((above, above + 1 - down), (above + 1, down - above)):
            for col, of_col in ((left, left + 1 - right), (left + 1, right - left)):
                found = _at(values, row, col, 0)
                total += of_row * of_col * found
                weight += of_row * of_col * (found > 0)
        own = self._under(folder, band, 0)
        return np.where(own > 0, total / np.maximum(weight, 1e-12), 0)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The composite of all scenes: a median of three clear observations or more, else the newest.

    Attributes:
        values: (3, H, W) float32 reflectance; NaN where nothing is clear.
        count: (H, W) clear observations.
        day: (H, W) of the newest, since 1970-01-01; 65535 where there is none.
    """

    values: NDArray[np.float32]
    count: NDArray[np.intp]
    day: NDArray[np.intp]


def expected(direct: Direct, times: int = 1) -> Expected:
    """Of cells of `times` x `times` squares, 1 or 2: seen where all are clear (80 % of four are four), their mean."""
    rows, cols = (side // times for side in direct.shape)
    count, day, stack = np.zeros((rows, cols), int), np.full((rows, cols), 65_535), []
    for (clear, _, sources), of_day in zip(direct.observations(), direct.days, strict=True):
        seen = clear.reshape(rows, times, cols, times).all(axis=(1, 3))
        reflectance = np.zeros((len(BANDS), *direct.shape), np.float32)
        for folder, mine in sources:
            for channel, band in enumerate(BANDS) if mine.any() else ():
                # earthsearch:boa_offset_applied is true and the pixels bear it out: no offset is to be added again.
                found = direct.numbers(folder, band).astype(np.float32) / np.float32(10_000)
                np.copyto(reflectance[channel], found, where=mine)
        squares = reflectance.reshape(len(BANDS), rows, times, cols, times).astype(np.float64)
        mean = squares.mean(axis=(2, 4)).astype(np.float32)
        stack.append(np.where(seen, mean, np.float32(np.nan)))
        day[seen & (count == 0)] = of_day
        count += seen
    newest = stack[0].copy()
    for values in stack[1:]:
        np.copyto(newest, values, where=np.isnan(newest))
    middle = np.nanmedian(np.where(count >= 3, np.stack(stack), 0), axis=0).astype(np.float32)
    return Expected(values=np.where(count >= 3, middle, newest), count=count, day=day)


def _file(folder: Path, name: str) -> tuple[NDArray[Any], Any]:
    with rasterio.open(folder / f"{FILES[name]}.tif") as dataset:
        assert dataset.crs.to_epsg() == 32633
        assert dataset.res == (STORED, STORED)
        return dataset.read(1), dataset.transform


def _at(values: NDArray[Any], rows: NDArray[np.intp], cols: NDArray[np.intp], outside: int) -> NDArray[Any]:
    held = (rows >= 0) & (rows < values.shape[0]) & (cols >= 0) & (cols < values.shape[1])
    out = np.full(rows.shape, outside, values.dtype)
    out[held] = values[rows[held], cols[held]]
    return out
