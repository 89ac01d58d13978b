"""Which images make a training step, which of them are this process's, and how they are read ahead of it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from landslide_scale.datasets import Patches

_AHEAD = 2
"""Batches read while the network works on one."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The place of this process among those that train together."""

    rank: int = 0
    size: int = 1

    @classmethod
    def here(cls) -> Workers:
        """As ``torch.distributed`` was initialised, or alone."""
        if not dist.is_initialized():
            return cls()
        return cls(rank=dist.get_rank(), size=dist.get_world_size())

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes; every one of them must call it."""
        if self.size > 1:
            dist.all_reduce(values)
        return values


@dataclass(frozen=True, kw_only=True)
class Share:
    """One process's part of a global batch.

    Attributes:
        indices: Of its patches; never empty.
        weight: 1, or 0 where the batch had none left for it and it only keeps the others company.
        batch: Patches in the global batch.
    """

    indices: tuple[int, ...]
    weight: float
    batch: int


def global_batches(order: Iterable[int], batch: int, *, least: int = 1) -> list[tuple[int, ...]]:
    """Cut an order into batches. The last may be smaller; with fewer than `least` it joins the one before."""
    order = tuple(order)
    starts = list(range(0, len(order), batch))
    if len(starts) > 1 and len(order) - starts[-1] < least:
        starts.pop()
    return [order[start:stop] for start, stop in pairwise((*starts, len(order)))]


def shares(order: Iterable[int], batch: int, workers: Workers, *, least: int = 1) -> Iterator[Share]:
    """The part of this process in each of the global batches."""
    for whole in global_batches(order, batch, least=least):
        mine = whole[workers.rank :: workers.size]
        yield Share(indices=mine or whole[:1], weight=float(bool(mine)), batch=len(whole))


def shuffled(count: int, *, seed: int, epoch: int) -> tuple[int, ...]:
    """The order of an epoch."""
    return tuple(np.random.default_rng((seed, epoch, 0)).permutation(count).tolist())


def loaded(
    patches: Patches, epoch: int, parts: Iterable[Share], device: torch.device, threads: int
) -> Iterator[tuple[Tensor, Tensor, Share]]:
    """Images float32 (B, C, P, P) and labels uint8 (B, P, P) of each share, read ahead in threads.

    Args:
        patches: Where they are read.
        epoch: From 0.
        parts: What is read, in this order.
        device: Where tensors go.
        threads: That read.
    """
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[tuple[Share, list[Any]]] = deque()
        for share in parts:
            ahead.append((share, [pool.submit(patches.read, epoch, index) for index in share.indices]))
            if len(ahead) > _AHEAD:
                yield _stacked(*ahead.popleft(), device)
        while ahead:
            yield _stacked(*ahead.popleft(), device)


def _stacked(share: Share, reads: list[Any], device: torch.device) -> tuple[Tensor, Tensor, Share]:
    samples = [read.result() for read in reads]
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    labels = torch.from_numpy(np.stack([sample.label for sample in samples]))
    return images.to(device), labels.to(device), share
