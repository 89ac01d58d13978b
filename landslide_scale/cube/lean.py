"""Records as a driver holds them to its end: of each unit what is its own, and once what many have in common."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, MutableMapping
from math import isfinite, isnan, nan
from typing import Any

from landslide_scale.cube.record import Record

_OWN = struct.Struct("<I4d32s")
"""What a unit shares with others, by number; its four areas and shares; its SHA-256. Behind it, what it was taken from.

One string of bytes a unit: objects of its own for each of these would take three times as much, and so would columns
and a dictionary of the places in them, for the sake of those places.
"""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class LeanRecords(MutableMapping[str, Record]):
    """Records by unit, in the order in which units first came: of each the lean form (:attr:`Record.lean`).

    What is read equals the lean form of what was put in. It is made when it is asked for, and its scenes, files and the
    like are the same objects each time, for as long as this mapping is there. A failure, or anything else that does
    not fit, is held as it is.

    Args:
        records: What is put in first.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._held: dict[str, bytes | Record] = {}
        self._alike: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        for record in records:
            self[record.unit] = record

    def __setitem__(self, unit: str, record: Record) -> None:
        self._held[unit] = self._packed(record) if record.unit == unit and _fits(record) else record.lean

    def __getitem__(self, unit: str) -> Record:
        held = self._held[unit]
        return held if isinstance(held, Record) else self._made(unit, held)

    def __contains__(self, unit: object) -> bool:
        return unit in self._held

    def __delitem__(self, unit: str) -> None:
        del self._held[unit]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def _packed(self, record: Record) -> bytes:
        run, mark, unit = record.taken_from.rpartition("#")
        landslide_km2 = nan if record.landslide_km2 is None else record.landslide_km2
        own = _OWN.pack(
            self._number(record, run + mark),
            record.km2,
            record.clear_fraction,
            record.persistent_km2,
            landslide_km2,
            bytes.fromhex(record.sha256),
        )
        return own + unit.encode("utf-8", "surrogatepass")

    def _number(self, record: Record, taken: str) -> int:
        """Of what a record has in common with others; `taken` is of what it was taken from the part that is, too.

        Lists of scenes and the like are alike where they are the same object, as of records that were read: to compare
        what they hold would take longer than all else. They are held: nothing else comes to have their identity.
        """
        large = (record.scenes, record.dem, record.files, record.computed)
        small = (record.state, record.attempts, taken, record.run, record.session)
        alike = (*small, *[id(one) if one else 0 for one in large])
        number = self._numbers.setdefault(alike, len(self._alike))
        if number == len(self._alike):
            self._alike.append((*small, *large))
        return number

    def _made(self, unit: str, held: bytes) -> Record:
        number, km2, clear_fraction, persistent_km2, landslide_km2, sha256 = _OWN.unpack_from(held)
        state, attempts, taken, run, session, scenes, dem, files, computed = self._alike[number]
        return Record(
            unit=unit,
            state=state,
            attempts=attempts,
            scenes=scenes,
            dem=dem,
            files=files,
            km2=km2,
            clear_fraction=clear_fraction,
            persistent_km2=persistent_km2,
            landslide_km2=None if isnan(landslide_km2) else landslide_km2,
            sha256=sha256.hex(),
            computed=computed,
            taken_from=taken + held[_OWN.size :].decode("utf-8", "surrogatepass"),
            run=run,
            session=session,
        )


def _fits(record: Record) -> bool:
    """Whether all that is lean of a record comes back as it was from its packed form."""
    if record.error or record.retry or record.unreadable or not _SHA256.fullmatch(record.sha256):
        return False
    figures = [record.km2, record.clear_fraction, record.persistent_km2]
    if record.landslide_km2 is not None:
        figures.append(record.landslide_km2)
    return all(isinstance(one, float) and isfinite(one) for one in figures)
