"""Areas of a run, window by window; over windows only what is an area: ground scanned, and ground seen at least once.

The same ground is looked at in every window: what it adds up to over windows is looks, and the sum of the landslide
area that each of them expects is no area of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Slot, read_stored
from landslide_scale.cube.record import Record


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Ground of the units of one window.

    Attributes:
        km2: That is done, inside region and zones.
        observed_km2: What of it was observed.
        landslide_km2: Expected area of landslides on that; None where nothing was predicted.
        persistent_km2: Ground that is not observed and more likely bright than cloudy.
    """

    km2: float
    observed_km2: float
    landslide_km2: float | None
    persistent_km2: float = 0.0

    @classmethod
    def of(cls, records: Sequence[Record], *, predicted: bool) -> Areas:
        """The sums over the records of one window."""
        return cls(
            km2=sum(record.km2 for record in records),
            observed_km2=sum(record.km2 * record.clear_fraction for record in records),
            landslide_km2=expected_km2(records) if predicted else None,
            persistent_km2=sum(record.persistent_km2 for record in records),
        )


def expected_km2(records: Iterable[Record]) -> float | None:
    """Expected area of landslides of units; None where one of them is of a scan that predicts nothing."""
    held = [record.landslide_km2 for record in records]
    known = [km2 for km2 in held if km2 is not None]
    return sum(known) if len(known) == len(held) else None


Unit = TypeVar("Unit")
"""By what whoever adds up knows a unit."""

Looks = Sequence[tuple[Unit, Record]]
"""The units of one block's windows, and what became of them."""


def scanned_km2(looks: Iterable[Looks[Unit]]) -> float:
    """Ground that was scanned in some window, block by block."""
    return sum(max(record.km2 for _, record in of_block) for of_block in looks)


def least_seen_km2(looks: Iterable[Looks[Unit]]) -> float:
    """Ground that was seen at least once is at least so much: of each block what its best window shows."""
    return sum(max(record.km2 * record.clear_fraction for _, record in of_block) for of_block in looks)


def seen_km2(
    looks: Iterable[Looks[Unit]], slot: Callable[[Unit], Slot], each: Callable[[], None] = lambda: None
) -> float:
    """Ground that was seen in at least one window.

    Pixels are read where records do not tell: of blocks that several windows show in part.

    Args:
        looks: Block by block.
        slot: Where a unit is stored.
        each: Called before every block that is read.

    Raises:
        BrokenRunError: What is stored cannot be read.
        StorageAwayError: It was away for longer than one is patient.
    """
    return sum(_seen_km2(of_block, slot, each) for of_block in looks)


def _seen_km2(of_block: Looks[Unit], slot: Callable[[Unit], Slot], each: Callable[[], None]) -> float:
    seen = [(unit, record) for unit, record in of_block if record.clear_fraction > 0]
    best = max((record.km2 * record.clear_fraction for _, record in seen), default=0.0)
    if len(seen) < 2 or any(record.clear_fraction == 1 for _, record in seen):  # noqa: PLR2004 windows
        return best
    each()
    slots = [slot(unit) for unit, _ in seen]
    somewhere = np.any([read_stored(one, "reason") == Reason.OBSERVED for one in slots], axis=0)
    return float(somewhere.sum() * slots[0].lattice.resolution ** 2 / 1e6)
