"""On what the units of a run were computed, as their records say: in one format, on whatever machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.provenance import NumberFormat


def computed_in(records: Iterable[Record]) -> NumberFormat | None:
    """The format that done units were computed in; None where none was, or nobody kept it.

    Raises:
        BrokenRunError: They were in several.
    """
    known = {record.computed["precision"] for record in records if record.done and "precision" in record.computed}
    if len(known) > 1:
        raise BrokenRunError(
            f"units computed in {' and '.join(sorted(known))}",
            expected="one precision for all units of a run",
            cure="Begin another run, with predict.precision.",
        )
    found: NumberFormat | None = next(iter(known), None)
    return found


def computed_on(records: Iterable[Record]) -> list[dict[str, Any]]:
    """What the machines were like that computed units, each kind once."""
    kinds = {str(sorted(record.computed.items())): record.computed for record in records if record.computed}
    return [kinds[name] for name in sorted(kinds)]
