"""Areas of a run, window by window; over windows only what is an area: ground scanned, and ground seen at least once.

The same ground is looked at in every window: what it adds up to over windows is looks, and the sum of the landslide
area that each of them expects is no area of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
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
    def of(cls, records: Iterable[Record], *, predicted: bool) -> Areas:
        """The sums over the records of one window, each of which is looked at once and let go.

        Nothing was predicted on any ground where one of them is of a scan that predicts nothing.
        """
        km2 = observed_km2 = landslide_km2 = persistent_km2 = 0.0
        for record in records:
            km2 += record.km2
            observed_km2 += record.km2 * record.clear_fraction
            landslide_km2 += nan if record.landslide_km2 is None else record.landslide_km2
            persistent_km2 += record.persistent_km2
        known = predicted and not isnan(landslide_km2)
        return cls(
            km2=km2,
            observed_km2=observed_km2,
            landslide_km2=landslide_km2 if known else None,
            persistent_km2=persistent_km2,
        )


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
