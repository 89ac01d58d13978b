"""What happened to every work unit: one small record each, gathered into Parquet parts as the run goes.

A record is written after the data it speaks of, so a unit without one is to be done again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.storage.rundir import RunDirectory, Stamp

State = Literal["written", "empty", "failed", "broken"]
HISTOGRAM_BINS = 20

LEDGER = "ledger"
"""Folder of a run."""

_DAMAGES = (ValueError, TypeError, AttributeError, KeyError, OSError)
"""What reading a damaged file raises once its content is at hand."""

_PARTS_AT_ONCE = 64

_PART = re.compile(r"part-\d{5,}(?:-[0-9a-f]{16})?\.parquet")
"""Names that parts have, and had; any other file beside them is somebody else's."""

_NAMED = re.compile(rf"{LEDGER}/units/(?P<unit>.+)-a(?P<attempt>\d+)(?:-failed|-broken)?\.json", re.DOTALL)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One work unit as it ended.

    Attributes:
        unit: Its id.
        state: ``written``; ``empty``: no pixel was observed, so no probability is stored; ``failed``: nothing is;
            ``broken``: what an earlier record speaks of is no longer what is stored.
        attempts: How often it was tried, over all runs of one command and its resumptions.
        error: Class and message of the last failure.
        retry: Whether that failure may pass.
        unreadable: Scenes of which something cannot be read, for good, as far as that failure brought it to light: why,
            by id.
        scenes: Of each scene: id, offset and the rule behind it, whether it was resampled, and ``filled`` of an older
            processing that filled what a newer one has no data for; or why it was not used.
        dem: Ids of the tiles of the elevation model that reach it.
        files: By what the files that were read are known again (`reading/marks.py`): by scene and asset, and by tile of
            the elevation model. Empty of a unit that was made before they were kept.
        km2: Ground of the unit inside region and zone.
        clear_fraction: Share of that ground which was observed.
        persistent_km2: Ground that is not observed for being masked as cloud on every date with clear surroundings.
        landslide_km2: Probability times area, summed before the cube's 8 bits; None where nothing was predicted.
        histogram: Observed pixels by probability, 20 equal bins over [0, 1].
        sha256: Of the unit's arrays as written.
        stored: ``bytes`` and ``sha256`` of its objects, by variable that is not all fill.
        seconds: By stage: ``read``, of it ``wait`` between tries of a request, ``predict``, ``write``; or ``take``.
        computed: In which ``precision`` the network computed, and what else of the machine its numbers may depend on:
            ``device``, ``threads``, ``tf32``, ``attention``, versions. Empty where none did, or nobody kept it.
        taken_from: Run and unit whose objects these are copies of; empty where it was scanned.
        run: Id of the run that it is of; empty of one begun before runs had one.
        session: Id of the driver, among the ``sessions`` of run.json, for which it was written.
    """

    unit: str
    state: State
    attempts: int = 1
    error: str = ""
    retry: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    scenes: tuple[dict[str, Any], ...] = ()
    dem: tuple[str, ...] = ()
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    km2: float = 0.0
    clear_fraction: float = 0.0
    persistent_km2: float = 0.0
    landslide_km2: float | None = 0.0
    histogram: tuple[int, ...] = ()
    sha256: str = ""
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    computed: dict[str, Any] = field(default_factory=dict)
    taken_from: str = ""
    run: str = ""
    session: str = ""

    @property
    def done(self) -> bool:
        """Whether the unit needs no further work."""
        return self.state in {"written", "empty"}

    @property
    def lean(self) -> Record:
        """What a driver holds of it to the end: what the figures of a run, and further tries, are made from.

        Where its objects lie in which bytes, how its pixels are distributed and how long it took stay in the ledger.
        """
        return replace(self, stored=_NOTHING, seconds=_NOTHING, histogram=())

    def to_json(self) -> str:
        """As text."""
        return json.dumps(self.said)

    @property
    def said(self) -> dict[str, Any]:
        """Its values by name; not copies of them, as :func:`dataclasses.asdict` makes, of every word of every scene."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """The record that :meth:`to_json` wrote."""
        said = json.loads(text)
        content = {key: value for key, value in said.items() if key in _FIELDS}  # a later version may say more
        alike = {key: _shared(json.dumps(list(content.get(key, ())))) for key in ("scenes", "dem")}
        facts = {key: _shared_facts(json.dumps(content.get(key, {}))) for key in ("computed", "files")}
        words = {key: sys.intern(content[key]) for key in ("state", "run", "session") if key in content}
        own = {"histogram": tuple(content.get("histogram", ())), "unreadable": content.get("unreadable") or _NOTHING}
        return cls(**content | alike | facts | words | own)


_NAMES = tuple(one.name for one in fields(Record))
_FIELDS = frozenset(_NAMES)


_NOTHING: dict[str, Any] = {}


@lru_cache(maxsize=4096)
def _shared_facts(text: str) -> dict[str, Any]:
    """Likewise facts by name: what the machine was like that computed it, which files it read."""
    found: dict[str, Any] = json.loads(text)
    return found


@lru_cache(maxsize=4096)
def _shared(text: str) -> tuple[Any, ...]:
    """A list of a record that is alike in many, of its JSON: a driver holds all records, and far fewer of these."""
    return tuple(json.loads(text))


def expected_km2(records: Iterable[Record]) -> float | None:
    """Expected area of landslides of units; None where one of them is of a scan that predicts nothing."""
    held = [record.landslide_km2 for record in records]
    known = [km2 for km2 in held if km2 is not None]
    return sum(known) if len(known) == len(held) else None


def describe(
    layer: Layer, probability: np.ndarray[Any, np.dtype[np.float32]] | None, pixel_km2: float
) -> dict[str, Any]:
    """The figures of a record from what was written and from the probabilities before their 8 bits, if any."""
    scanned = layer.reason != Reason.NOT_SCANNED
    observed = layer.reason == Reason.OBSERVED
    held = None if probability is None else probability[observed]
    return {
        "km2": float(scanned.sum() * pixel_km2),
        "clear_fraction": float(observed.sum() / max(scanned.sum(), 1)),
        "persistent_km2": float((layer.reason == Reason.PERSISTENT).sum() * pixel_km2),
        "landslide_km2": None if held is None else float(held.sum(dtype=np.float64) * pixel_km2),
        "histogram": () if held is None else tuple(map(int, np.histogram(held, HISTOGRAM_BINS, (0, 1))[0])),
        "sha256": content_hash(layer),
    }


def content_hash(layer: Layer) -> str:
    """SHA-256 over the arrays of a unit, in the order of the cube's variables."""
    digest = hashlib.sha256()
    for array in layer.arrays.values():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


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
        return _standing(self._all())

    def lean_records(self) -> dict[str, Record]:
        """The same, of each what a driver holds of it; never more of the rest than of some parts at a time."""
        return _standing(record.lean for record in self._all())

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
        try:
            table = pq.read_table(pa.BufferReader(content), columns=["record"])
            return [Record.from_json(text) for text in table.column("record").to_pylist()]
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
            part = f"{LEDGER}/part-{len(self._parts()):05d}-{secrets.token_hex(8)}.parquet"
            self._run.create(part, _parquet(records))
            self._run.delete_all(names)


def _standing(records: Iterable[Record]) -> dict[str, Record]:
    """Of all records of each unit the one that stands."""
    found: dict[str, Record] = {}
    several: dict[str, list[Record]] = {}
    for record in records:
        if record.unit in found:
            several.setdefault(record.unit, [found[record.unit]]).append(record)
        else:
            found[record.unit] = record
    return found | {unit: _last(of_unit) for unit, of_unit in several.items()}


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
