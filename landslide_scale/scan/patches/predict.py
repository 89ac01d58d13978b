"""From tiles of pixels to landslide probabilities, patch by patch. Plain torch and NumPy: no Ray, no geo libraries.

The same ground gives the same bytes however a region is cut into blocks: patches sit on the zone's absolute lattice,
every batch has the same number of patches, and a pixel's patches are added up in the order of their positions. So what
was predicted for a patch over the border of a block is good for the block beside it too, which need not ask again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from landslide_scale.model.core.precision import autocast
from landslide_scale.provenance import Precision
from landslide_scale.scan.patches.canvas import Canvas, Patch, Tile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from landslide_scale.cards.card import ModelCard
    from landslide_scale.grid import PatchLattice

KEPT_BYTES = 64 * 2**20
"""Of what was predicted for patches over borders, until the blocks beside them come: a row of a tile's blocks."""

_NO_MEMORY = "DefaultCPUAllocator"
"""What torch says where the system gave a CPU's network no memory; it has a class of its own for accelerators alone."""


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
        kept: Bytes of probabilities that are kept of patches over the border of a core.
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
        kept: int = KEPT_BYTES,
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
        self._kept = _Kept(kept)

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
        canvases: list[Canvas] = []
        in_flight: _Batch | None = None
        for asked in _batches(map(self._asked, self._patches(images, canvases)), self.batch):
            launched = _Batch(asked, self._launch([one.patch for one in asked if one.known is None]))
            # An accelerator computes this batch while the one before it is blended here.
            self._blend(in_flight)
            in_flight = launched
        self._blend(in_flight)
        return [canvas.result for canvas in canvases]

    def _patches(self, images: Iterable[Tile], canvases: list[Canvas]) -> Iterator[Patch]:
        """Patches of one tile after the other, so that few tiles have sums open at a time."""
        for tile in images:
            canvas = Canvas(tile, self.lattice)
            canvases.append(canvas)
            yield from canvas.open()

    def _asked(self, patch: Patch) -> _Asked:
        """A patch, and what is known of it; one that lies within its core is no other core's, and is not looked up."""
        if patch.row.whole and patch.col.whole:
            return _Asked(patch, b"", None)
        pixels = np.ascontiguousarray(self._cut(patch))
        key = hashlib.sha256(pixels).digest()
        return _Asked(patch, key, self._kept.get(key))

    def _cut(self, patch: Patch) -> NDArray[np.float32]:
        side = self.lattice.patch
        row, col = patch.row.start, patch.col.start
        return patch.canvas.tile.cut((row, row + side, col, col + side))

    @torch.inference_mode()
    def _launch(self, patches: Sequence[Patch]) -> torch.Tensor:
        """Probabilities (B, P, P) on the device, of a batch that always has the same size; none of no patches."""
        if not patches:
            return torch.empty(0)
        bands, side = patches[0].canvas.tile.values.shape[0], self.lattice.patch
        images = np.full((self.batch, bands, side, side), np.nan, np.float32)
        for place, patch in enumerate(patches):
            images[place] = self._cut(patch)
        with autocast(self.precision, self.device):
            logits: torch.Tensor = self.net(torch.from_numpy(images).to(self.device))[:, 0].float()
        # One that has overflowed says nothing, though it would pass for certainty.
        numbers = torch.where(torch.isfinite(logits), logits, torch.nan)
        return torch.sigmoid((numbers + self.card.bias) / self.card.temperature)

    def _blend(self, batch: _Batch | None) -> None:
        """Add a batch to its canvases, patch by patch in the order they were cut, and keep what others may ask for."""
        if batch is None:
            return
        predicted = iter(batch.probabilities.cpu().numpy())
        for patch, key, known in batch.asked:
            found = next(predicted) if known is None else known
            if key and known is None:
                self._kept.put(key, found.copy())  # by itself: a view would hold the whole batch
            patch.canvas.add(patch.row, patch.col, found)


class _Kept:
    """Probabilities (P, P) by the hash of the pixels that they are of; those not asked for longest go first."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._known: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def get(self, key: bytes) -> NDArray[np.float32] | None:
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, key: bytes, probabilities: NDArray[np.float32]) -> None:
        if key in self._known:  # twice in batches that were in flight together
            return
        self._known[key] = probabilities
        self._held += probabilities.nbytes
        while self._held > self._most:
            _, oldest = self._known.popitem(last=False)
            self._held -= oldest.nbytes


class _Asked(NamedTuple):
    patch: Patch
    key: bytes
    """By which its probabilities are kept; empty where they are of no use to another core."""
    known: NDArray[np.float32] | None
    """Its probabilities, where they are kept."""


class _Batch(NamedTuple):
    asked: Sequence[_Asked]
    probabilities: torch.Tensor
    """Of those that were not known, in their order."""


def _batches(asked: Iterable[_Asked], size: int) -> Iterator[list[_Asked]]:
    """Lists of patches in their order, `size` in each that are not known; fewer in the last one."""
    batch, unknown = list[_Asked](), 0
    for one in asked:
        batch.append(one)
        unknown += one.known is None
        if unknown == size:
            yield batch
            batch, unknown = [], 0
    if batch:
        yield batch
