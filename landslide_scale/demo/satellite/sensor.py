"""From reflectance on the ground to the digital numbers of a tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.bands import NEWER_OFFSET, QUANTIFICATION
from landslide_scale.demo.ground.canvas import block_mean
from landslide_scale.demo.ground.frame import FINE_M, Frame
from landslide_scale.demo.ground.noise import Field
from landslide_scale.demo.satellite.tiles import TILE_M, Tile

NOISE = 0.0018
"""Standard deviation of a pixel's noise, reflectance."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Where the cells of one tile find their ground.

    Attributes:
        tile: The tile.
        frame: The ground.
        rows, columns: Fractional 5 m frame indices of the tile's 5 m cell centres, (cells, cells).
    """

    tile: Tile
    frame: Frame
    rows: Field
    columns: Field

    @classmethod
    def of(cls, frame: Frame, tile: Tile) -> Sampler:
        """Lay a tile on the ground."""
        rows, columns = frame.rows_columns(*tile.centres(frame, FINE_M), FINE_M)
        return cls(tile=tile, frame=frame, rows=rows.astype(np.float32), columns=columns.astype(np.float32))

    def grounded(self, cell: int) -> NDArray[np.bool_]:
        """Pixels of `cell` metres whose whole square, half a pixel of misregistration included, is on the ground."""
        height, width = self.frame.shape(FINE_M)
        on = (self.rows >= 1) & (self.rows <= height - 2) & (self.columns >= 1) & (self.columns <= width - 2)
        side, factor = self.tile.side(cell), cell // FINE_M
        return np.asarray(on.reshape(side, factor, side, factor).all(axis=(1, 3)))

    def mean(self, values: Field, cell: int, shift: tuple[int, int]) -> Field:
        """Average the ground under each pixel.

        Args:
            values: (rows, columns) float32 of the frame's 5 m cells.
            cell: Side of a pixel in metres, a multiple of 5.
            shift: Misregistration (rows, columns) in 5 m cells: a pixel shows the ground that lies so far from it.

        Returns:
            (side, side) float32; meaningless where not `grounded`.
        """
        if self.tile.epsg == self.frame.epsg:
            return block_mean(self._cut(values, shift), cell // FINE_M)
        used = self._used_columns()
        places = (self.rows[:, used] + shift[0], self.columns[:, used] + shift[1])
        fine = np.zeros(self.rows.shape, dtype=np.float32)
        fine[:, used] = ndimage.map_coordinates(values, places, order=1, mode="nearest")
        return block_mean(fine, cell // FINE_M)

    def nearest(self, values: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
        """The class at each pixel's centre.

        Args:
            values: (rows, columns) uint8 classes of the frame, in cells of any whole multiple of 5 m.
            cell: Side of a pixel in metres.
        """
        step = cell // FINE_M
        per_cell = self.frame.shape(FINE_M)[0] / values.shape[0]
        index = []
        for place, size in zip((self.rows, self.columns), values.shape, strict=True):
            centre = place[step // 2 :: step, step // 2 :: step] / per_cell
            index.append(np.clip(centre.astype(np.intp), 0, size - 1))
        return np.asarray(values[index[0], index[1]])

    def _cut(self, values: Field, shift: tuple[int, int]) -> Field:
        """The tile's 5 m cells out of the frame's, 0 beyond its edges."""
        side = TILE_M // FINE_M
        top = round((self.frame.top - self.tile.top) / FINE_M) + shift[0]
        left = round((self.tile.left - self.frame.left) / FINE_M) + shift[1]
        cut = np.zeros((side, side), dtype=np.float32)
        rows = slice(max(0, -top), min(side, values.shape[0] - top))
        columns = slice(max(0, -left), min(side, values.shape[1] - left))
        cut[rows, columns] = values[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
        return cut

    def _used_columns(self) -> slice:
        height, width = self.frame.shape(FINE_M)
        on = (self.rows > -2) & (self.rows < height + 1) & (self.columns > -2) & (self.columns < width + 1)  # noqa: PLR2004
        used = np.flatnonzero(on.any(axis=0))
        return slice(int(used[0]), int(used[-1]) + 1)


def digital_numbers(
    values: Field, valid: NDArray[np.bool_], rng: np.random.Generator, *, noise: float = NOISE
) -> NDArray[np.uint16]:
    """Digital numbers as baseline 04.00 and later writes them: reflectance * 10 000 + 1000, 0 for no data only.

    Args:
        values: float32 surface reflectance.
        valid: True where the sensor saw ground; False becomes 0.
        rng: Of the noise.
        noise: Its standard deviation, reflectance.
    """
    noisy = values + np.float32(noise) * rng.standard_normal(values.shape, dtype=np.float32)
    numbers = np.clip(np.rint(noisy * QUANTIFICATION) - NEWER_OFFSET, 1, np.iinfo(np.uint16).max)
    return np.where(valid, numbers, 0).astype(np.uint16)
