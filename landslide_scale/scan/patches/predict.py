"""From tiles of pixels to landslide probabilities, patch by patch. Plain torch and NumPy: no Ray, no geo libraries.

The same ground gives the same bytes however a region is cut into blocks: patches sit on the zone's absolute lattice,
every batch has the same number of places, of which each patch has its own, and a pixel's patches are added up in the
order of their positions. So what was predicted for a patch over the border of a block is good for the block beside it
too, which need not ask again.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict, defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
import torch

from landslide_scale.model.core.precision import autocast
from landslide_scale.provenance import Precision
from landslide_scale.scan.patches.canvas import Canvas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from landslide_scale.cards.card import ModelCard
    from landslide_scale.grid import PatchLattice
    from landslide_scale.scan.patches.canvas import Patch, Tile

KEPT_BYTES = 64 * 2**20
"""Of what was predicted for patches over borders, until the blocks beside them come: of patches of up to some 450 px
enough for a tile's blocks, so that hardly one is run twice; of 1024 px it is 16."""

_GOLDEN = (3 - math.sqrt(5)) / 2

_NO_MEMORY = "DefaultCPUAllocator"
"""What torch says where the system gave a CPU's network no memory; it has a class of its own for accelerators alone."""


class BlockPredictor:
    """A network ready to predict.

    Args:
        net: Takes (B, C, H, W) with NaN and gives logits (B, 1, H, W): a ``Network``.
        card: Says how logits become probabilities: ``sigmoid((logit + bias) / temperature)``.
        lattice: Where patches lie and how neighbours are blended.
        batch: Places in every batch; one that has no patch is filled with pixels without data.
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
        self._shift = _shift(batch)
        self._kept = _Kept(kept)

    def predict(self, tile: Tile) -> NDArray[np.float32]:
        """Predict the core of a tile.

        Returns:
            Landslide probability, float32 (rows, columns) in [0, 1]; NaN where a band has no data.

        Raises:
            InvalidInputError: The tile does not reach as far as the patches over its core.
            BrokenRunError: The network gave no finite number for a pixel with data.
            MemoryError: The device has too little memory.
        """
        try:
            return self._predicted(tile)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        except RuntimeError as error:
            if _NO_MEMORY in str(error):
                raise MemoryError(str(error)) from error
            raise

    def _predicted(self, tile: Tile) -> NDArray[np.float32]:
        canvas = Canvas(tile, self.lattice)
        patches = canvas.patches
        keys = [self._key(tile, patch) for patch in patches]
        found = {number: known for number, key in enumerate(keys) if (known := self._kept.get(key)) is not None}
        in_flight: tuple[Mapping[int, int], torch.Tensor] | None = None
        for batch in self._batches({number: one for number, one in enumerate(patches) if number not in found}):
            launched = batch, self._launch(tile, {place: patches[number] for place, number in batch.items()})
            # An accelerator computes this batch while the one before it is looked at here.
            self._take(in_flight, keys, found)
            in_flight = launched
        self._take(in_flight, keys, found)
        return canvas.blended(found.pop(number) for number in range(len(patches)))

    def _key(self, tile: Tile, patch: Patch) -> bytes:
        """By which its probabilities are kept; none of a patch within its core, which is of no use to another."""
        if patch.row.whole and patch.col.whole:
            return b""
        pixels = np.ascontiguousarray(self._cut(tile, patch))
        return hashlib.sha256(pixels.data).digest() + self._place(patch).to_bytes(4, "big")

    def _place(self, patch: Patch) -> int:
        """The patch's own place in a batch, wherever and whenever it is run.

        Arithmetic may hang on the place, for vectors and threads end somewhere, but on nothing else in a batch. Rows
        are shifted, so that patches beside and below each other have different places, and batches are nearly full.
        """
        row, col = ((strip.start + self.lattice.halo) // self.lattice.stride for strip in (patch.row, patch.col))
        return (row * self._shift + col) % self.batch

    def _batches(self, patches: Mapping[int, Patch]) -> Iterator[Mapping[int, int]]:
        """Numbers of patches by their places, until all are in a batch."""
        waiting: defaultdict[int, list[int]] = defaultdict(list)
        for number, patch in patches.items():
            waiting[self._place(patch)].append(number)
        for some in zip_longest(*waiting.values()):
            yield {place: number for place, number in zip(waiting, some, strict=True) if number is not None}

    def _cut(self, tile: Tile, patch: Patch) -> NDArray[np.float32]:
        side = self.lattice.patch
        row, col = patch.row.start, patch.col.start
        return tile.cut((row, row + side, col, col + side))

    @torch.inference_mode()
    def _launch(self, tile: Tile, patches: Mapping[int, Patch]) -> torch.Tensor:
        """Probabilities (B, P, P) on the device, of a batch that always has the same size; patches by their places."""
        side = self.lattice.patch
        images = np.full((self.batch, len(tile.values), side, side), np.nan, np.float32)
        for place, patch in patches.items():
            images[place] = self._cut(tile, patch)
        with autocast(self.precision, self.device):
            logits: torch.Tensor = self.net(torch.from_numpy(images).to(self.device))[:, 0].float()
        # One that has overflowed says nothing, though it would pass for certainty.
        numbers = torch.where(torch.isfinite(logits), logits, torch.nan)
        return torch.sigmoid((numbers + self.card.bias) / self.card.temperature)

    def _take(
        self,
        launched: tuple[Mapping[int, int], torch.Tensor] | None,
        keys: Sequence[bytes],
        found: dict[int, NDArray[np.float32]],
    ) -> None:
        """Put what a batch came to into `found`, by number, and keep what another core may ask for."""
        if launched is None:
            return
        batch, probabilities = launched[0], launched[1].cpu().numpy()
        for place, number in batch.items():
            # By itself: a view would hold all of the batch.
            found[number] = probabilities[place].copy()
            if keys[number]:
                self._kept.put(keys[number], found[number])


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
        if key in self._known:  # pixels that are alike in two patches of one core
            return
        self._known[key] = probabilities
        self._held += probabilities.nbytes
        while self._held > self._most:
            _, oldest = self._known.popitem(last=False)
            self._held -= oldest.nbytes


def _shift(batch: int) -> int:
    """Places from a patch to the one below it: without a common divisor, and far from whole, half and third turns."""
    return min((n for n in range(1, batch + 1) if math.gcd(n, batch) == 1), key=lambda n: abs(n - _GOLDEN * batch))
