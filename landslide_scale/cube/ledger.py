"""What happened to every work unit: one small record each, gathered into Parquet parts as the run goes.

A record is written after the data it speaks of, so a unit without one is to be done again.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from landslide_scale.cube.lean import LeanRecords
from landslide_scale.cube.record import Record, State
from landslide_scale.storage.rundir import RunDirectory, Stamp

LEDGER = "ledger"
"""Folder of a run."""

_DAMAGES = (ValueError, TypeError, AttributeError, KeyError, OSError, pa.ArrowException)
"""What reading a damaged file raises once its content is at hand."""

_PARTS_AT_ONCE = 64

_PART = re.compile(r"part-\d{5,}(?:-[0-9a-f]{16}(?:-(?P<sha256>[0-9a-f]{16}))?)?\.parquet")
"""Names that parts have, and had; any other file beside them is somebody else's. The last word begins its SHA-256."""

_NAMED = re.compile(rf"{LEDGER}/units/(?P<unit>.+)-a(?P<attempt>\d+)(?:-failed|-broken)?\.json", re.DOTALL)

Found = TypeVar("Found", bound=MutableMapping[str, Record])

log = logging.getLogger(__name__)


class Ledger:
    """The records of one run; of another's, which a writer may leave that outlived its folder, it knows nothing.

    Args:
        run: Its folder. One process at a time gathers records; any number of them add some.
        stamp: How records are signed; none: as of the run that is there, for no driver.
    """

    def __init__(self, run: RunDirectory, stamp: Stamp | None = None) -> None:
        self._run, self._given = run, stamp
        self.damaged: dict[str, str] = {}
        """Why, by name: files that were found to be."""

    @cached_property
    def _stamp(self) -> Stamp:
        return self._run.stamp() if self._given is None else self._given

    def add(self, record: Record) -> None:
        """Keep a record; a later attempt's stands beside it, so that gathering one never removes the other."""
        self._run.write(_name(record.unit, record.attempts, record.state), self._signed(record).to_json().encode())

    def _signed(self, record: Record) -> Record:
        return replace(record, run=self._stamp.run, session=self._stamp.session)

    def find(self, unit: str, attempt: int) -> Record | None:
        """The record of an attempt that is done; None where there is none, or it has been gathered."""
        name = _name(unit, attempt, "written")
        for content in self._run.read_there([name]).values():
            record = self._of_file(name, content)
            return record if record.done and self._is_own(record) else None
        return None

    def records(self) -> dict[str, Record]:
        """What became of every unit: a record of a unit that is done stands, and of failures the latest.

        A ``broken`` one takes away what was said of the unit before it.
        """
        return _standing(self._all(), {})

    def lean_records(self) -> LeanRecords:
        """The same, of each what a driver holds of it; never more of the rest than of some parts at a time."""
        return _standing(self._all(), LeanRecords())

    def _all(self) -> Iterator[Record]:
        """Every record, in parts and by itself.

        Those by themselves are read first: one that is gathered meanwhile is then found in a part.
        """
        loose = self._loose()
        parts = iter([f"{LEDGER}/{name}" for name in self._parts()])
        while names := list(islice(parts, _PARTS_AT_ONCE)):
            for name, content in self._run.read_there(names).items():
                yield from filter(self._is_own, self._of_part(name, content))
        yield from loose.values()

    def _parts(self) -> list[str]:
        return [name for name in self._run.names(LEDGER, ".parquet") if _PART.fullmatch(name)]

    def _of_part(self, name: str, content: bytes) -> list[Record]:
        """What a part holds; nothing where it is damaged, so that its units are done again."""
        told = _PART.fullmatch(name.removeprefix(f"{LEDGER}/"))
        if told is not None and told["sha256"] and told["sha256"] != _beginning(content):
            self.damaged[name] = "other bytes than were written"
            return []
        try:
            table = pq.read_table(pa.BufferReader(content), columns=["record"])
            return [Record.from_json(text) for text in table.column("record").to_pylist()]
        except MemoryError:
            raise  # Arrow's is one of its errors too, and a part for which there is no room now is not damaged
        except _DAMAGES as error:
            self.damaged[name] = f"{type(error).__name__}: {error}"
            return []

    def _loose(self) -> dict[str, Record]:
        """Records by themselves, by the name of their file; one that is gathered meanwhile is left out."""
        names = [f"{LEDGER}/units/{name}" for name in self._run.names(f"{LEDGER}/units", ".json")]
        contents = self._run.read_there([name for name in names if _NAMED.fullmatch(name)])
        found = {name: self._of_file(name, content) for name, content in contents.items()}
        return {name: record for name, record in found.items() if self._is_own(record)}

    def _of_file(self, name: str, content: bytes) -> Record:
        """What a record's file holds; where it is damaged, that its unit, which its name tells, is to be done again."""
        try:
            return Record.from_json(content)
        except _DAMAGES as error:
            self.damaged[name] = f"{type(error).__name__}: {error}"
            told = _NAMED.fullmatch(name)
            assert told is not None  # noqa: S101 no other file is read
            said = f"DamagedRecord: {self.damaged[name]}"
            return Record(
                unit=told["unit"], state="broken", attempts=int(told["attempt"]), error=said, run=self._stamp.run
            )

    def mend(self) -> None:
        """Say which files are damaged, and take them away: what they said is done again."""
        for name, why in self.damaged.items():
            log.warning("%s: damaged (%s); its units are done again", self._run.at(name), why)
        self._run.delete_all(list(self.damaged))
        self.damaged.clear()

    def _is_own(self, record: Record) -> bool:
        return record.run == self._stamp.run

    def compact(self) -> None:
        """Gather the small records into one more Parquet part; a crash in between leaves both, which agree."""
        loose = self._loose()
        self._gather(list(loose.values()), list(loose))

    def gather(self, records: Sequence[Record]) -> None:
        """Gather these records of units that have ended, and whose files therefore no worker looks for any more."""
        signed = [self._signed(record) for record in records]
        self._gather(signed, [_name(record.unit, record.attempts, record.state) for record in signed])

    def _gather(self, records: Sequence[Record], names: Sequence[str]) -> None:
        if names:
            # A name that no other driver can come to, one that was taken for dead and wakes up least of all; and
            # whatever has it by then is not replaced.
            content = _parquet(records)
            name = f"part-{len(self._parts()):05d}-{secrets.token_hex(8)}-{_beginning(content)}.parquet"
            self._run.create(f"{LEDGER}/{name}", content)
            self._run.delete_all(names)


def _standing(records: Iterable[Record], found: Found) -> Found:
    """Of all records of each unit the one that stands, put into `found`, which is empty."""
    several: dict[str, list[Record]] = {}
    for record in records:
        if record.unit in found:
            several.setdefault(record.unit, [found[record.unit]]).append(record)
        else:
            found[record.unit] = record
    found.update({unit: _last(of_unit) for unit, of_unit in several.items()})
    return found


def _last(records: Sequence[Record]) -> Record:
    """What stands of a unit: the latest, but no failure in place of what is done."""
    first, *later = sorted(records, key=_age)
    for record in later:
        if record.state != "failed" or not first.done:
            first = record
    return first


def _name(unit: str, attempt: int, state: State) -> str:
    """Of a record's file: a failure of another process never replaces what was done."""
    kind = {"failed": "-failed", "broken": "-broken"}.get(state, "")
    return f"{LEDGER}/units/{unit}-a{attempt}{kind}.json"


def _beginning(content: bytes) -> str:
    """Of its SHA-256: enough to tell damage."""
    return hashlib.sha256(content).hexdigest()[:16]


def _age(record: Record) -> tuple[int, int]:
    """Orders the records of a unit: by attempt, and within one as they can have come about."""
    return record.attempts, ("failed", "empty", "written", "broken").index(record.state)


def _parquet(records: Iterable[Record]) -> bytes:
    rows = [
        {
            **{key: value for key, value in record.said.items() if isinstance(value, (str, int, float))},
            "record": record.to_json(),
        }
        for record in records
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())
