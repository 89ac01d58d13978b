"""From tiles of pixels to landslide probabilities, patch by patch. Plain torch and NumPy: no Ray, no geo libraries.

The same ground gives the same bytes however a region is cut into blocks: patches sit on the zone's absolute lattice,
every batch has the same number of patches, and a pixel's patches are added up in the order of their positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.model.core.precision import autocast
from landslide_scale.provenance import Precision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from landslide_scale.cards.card import ModelCard
    from landslide_scale.grid import PatchLattice


_NO_MEMORY = "DefaultCPUAllocator"
"""What torch says where the system gave a CPU's network no memory; it has a class of its own for accelerators alone."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Pixels read around a core, with all that the patches over the core need (``PatchLattice.covering``).

    Attributes:
        values: Float32 (C, H, W) in the units of the checkpoint's radiometry, NaN where there is no data.
        row, col: Position of its upper left pixel on the zone's lattice.
        core: What to predict, on the same lattice: half-open (row_start, row_stop, col_start, col_stop).
    """

    values: NDArray[np.float32]
    row: int
    col: int
    core: tuple[int, int, int, int]

    def cut(self, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        """The values (C, rows, columns) of a half-open box on the lattice."""
        row_start, row_stop, col_start, col_stop = box
        rows = slice(row_start - self.row, row_stop - self.row)
        return self.values[:, rows, col_start - self.col : col_stop - self.col]


class BlockPredictor:
    """A network ready to predict.

    Args:
        net: Takes (B, C, H, W) with NaN and gives logits (B, 1, H, W): a ``Network``.
        card: Says how logits become probabilities: ``sigmoid((logit + bias) / temperature)``.
        lattice: Where patches lie and how neighbours are blended.
        batch: Patches in every batch; the last one of a call is filled up with patches without data.
        precision: ``auto`` is bf16 where the hardware computes it natively.
        device: As torch names it; the network is moved there.
        threads: Of torch in this process; None to leave them as they are.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        card: ModelCard,
        *,
        lattice: PatchLattice,
        batch: int,
        precision: Precision,
        device: str,
        threads: int | None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if torch.device(device).type == "cuda":
            # The fastest transposed convolutions add up in no fixed order.
            torch.backends.cudnn.deterministic = True
        self.net = net.to(device).eval()
        self.card = card
        self.lattice = lattice
        self.batch = batch
        self.precision: Precision = precision
        self.device = device

    def predict(self, images: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Predict the core of each tile.

        Returns:
            Landslide probability of each core, float32 (rows, columns) in [0, 1]; NaN where a band has no data.

        Raises:
            InvalidInputError: A tile does not reach as far as the patches over its core.
            BrokenRunError: The network gave no finite number for a pixel with data.
            MemoryError: The device has too little memory.
        """
        try:
            return self._predicted(images)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        except RuntimeError as error:
            if _NO_MEMORY in str(error):
                raise MemoryError(str(error)) from error
            raise

    def _predicted(self, images: Sequence[Tile]) -> list[NDArray[np.float32]]:
        canvases: list[_Canvas] = []
        in_flight: _Batch | None = None
        for patches in _batches(self._patches(images, canvases), self.batch):
            launched = _Batch(patches, self._launch(patches))
            # An accelerator computes this batch while the one before it is blended here.
            _blend(in_flight)
            in_flight = launched
        _blend(in_flight)
        return [canvas.result for canvas in canvases]

    def _patches(self, images: Iterable[Tile], canvases: list[_Canvas]) -> Iterator[_Patch]:
        """Patches of one tile after the other, so that few tiles have sums open at a time."""
        for tile in images:
            canvas = _Canvas(tile, self.lattice)
            canvases.append(canvas)
            yield from canvas.open()

    @torch.inference_mode()
    def _launch(self, patches: Sequence[_Patch]) -> torch.Tensor:
        """Probabilities (B, P, P) on the device, of a batch that always has the same size."""
        bands, side = patches[0].canvas.tile.values.shape[0], self.lattice.patch
        images = np.full((self.batch, bands, side, side), np.nan, np.float32)
        for place, patch in enumerate(patches):
            images[place] = patch.canvas.tile.cut(
                (patch.row.start, patch.row.start + side, patch.col.start, patch.col.start + side)
            )
        with autocast(self.precision, self.device):
            logits: torch.Tensor = self.net(torch.from_numpy(images).to(self.device))[:, 0].float()
        # One that has overflowed says nothing, though it would pass for certainty.
        numbers = torch.where(torch.isfinite(logits), logits, torch.nan)
        return torch.sigmoid((numbers + self.card.bias) / self.card.temperature)


class _Strip(NamedTuple):
    """A patch along one axis, and where it has weight."""

    start: int
    """Its first pixel on the lattice."""
    core: slice
    """Its weighted pixels within the core."""
    patch: slice
    """The same pixels within the patch."""
    weights: NDArray[np.float64]
    """Their weights."""


class _Patch(NamedTuple):
    canvas: _Canvas
    row: _Strip
    col: _Strip


class _Batch(NamedTuple):
    patches: Sequence[_Patch]
    probabilities: torch.Tensor


class _Canvas:
    """One core being filled: the weighted sum of its patches until the last one is in, then the result."""

    def __init__(self, tile: Tile, lattice: PatchLattice) -> None:
        self.tile = tile
        row_start, row_stop, col_start, col_stop = tile.core
        self.rows, self.cols = _strips(lattice, row_start, row_stop), _strips(lattice, col_start, col_stop)
        _check_reach(tile, self.rows, self.cols, lattice.patch)
        self.observed = np.asarray(~np.isnan(tile.cut(tile.core)).any(axis=0))
        self.result = np.full(self.observed.shape, np.nan, np.float32)
        self.sums = np.zeros(0)
        self.awaited = 0

    def open(self) -> list[_Patch]:
        """The patches to predict, by row and column; those with weight over no observed pixel change nothing."""
        patches = [
            _Patch(self, row, col) for row in self.rows for col in self.cols if self.observed[row.core, col.core].any()
        ]
        self.awaited = len(patches)
        self.sums = np.zeros(self.observed.shape)
        return patches

    def add(self, row: _Strip, col: _Strip, probabilities: NDArray[np.float32]) -> None:
        """Blend in one patch (P, P); the last one makes the result."""
        weights = row.weights[:, None] * col.weights[None, :]
        self.sums[row.core, col.core] += weights * probabilities[row.patch, col.patch]
        self.awaited -= 1
        if not self.awaited:
            self._finish()

    def _finish(self) -> None:
        totals = [
            _total_weight(strips, size) for strips, size in zip((self.rows, self.cols), self.sums.shape, strict=True)
        ]
        mean = self.sums / (totals[0][:, None] * totals[1][None, :])
        self.sums = np.zeros(0)
        self.result[self.observed] = mean[self.observed]
        if lost := np.count_nonzero(np.isnan(self.result) & self.observed):
            raise BrokenRunError(
                f"the network gave no number for {lost} pixels with data, or an infinite one",
                expected="a probability for each",
                cure="The checkpoint is broken, or its values overflow: try precision float32",
                core=self.tile.core,
            )


def _strips(lattice: PatchLattice, first: int, stop: int) -> list[_Strip]:
    """All patches with weight in ``[first, stop)``, ascending."""
    weights = lattice.weights().astype(np.float64)
    weighted = np.flatnonzero(weights)
    strips = []
    for start in lattice.starts(first, stop):
        low, high = max(start + weighted[0], first), min(start + weighted[-1] + 1, stop)
        patch = slice(int(low - start), int(high - start))
        strips.append(_Strip(start, slice(int(low - first), int(high - first)), patch, weights[patch]))
    return strips


def _total_weight(strips: Sequence[_Strip], size: int) -> NDArray[np.float64]:
    """Sum of all patches' weights at each pixel along an axis: one, but for rounding."""
    total = np.zeros(size)
    for strip in strips:
        total[strip.core] += strip.weights
    return total


def _check_reach(tile: Tile, rows: Sequence[_Strip], cols: Sequence[_Strip], side: int) -> None:
    _, height, width = tile.values.shape
    given = tile.row, tile.row + height, tile.col, tile.col + width
    needed = rows[0].start, rows[-1].start + side, cols[0].start, cols[-1].start + side
    if given[0] > needed[0] or given[1] < needed[1] or given[2] > needed[2] or given[3] < needed[3]:
        raise InvalidInputError(
            f"a tile of rows {given[0]} to {given[1]} and columns {given[2]} to {given[3]}",
            expected=f"at least rows {needed[0]} to {needed[1]} and columns {needed[2]} to {needed[3]}",
            cure="Read all pixels of PatchLattice.covering",
            core=tile.core,
        )


def _batches(patches: Iterable[_Patch], size: int) -> Iterator[list[_Patch]]:
    """Lists of `size` patches, the last one shorter."""
    source = iter(patches)
    while batch := list(islice(source, size)):
        yield batch


def _blend(batch: _Batch | None) -> None:
    """Add a batch to its canvases, patch by patch in the order they were cut."""
    if batch is None:
        return
    probabilities = batch.probabilities.cpu().numpy()
    for patch, predicted in zip(batch.patches, probabilities, strict=False):
        patch.canvas.add(patch.row, patch.col, predicted)
