"""Whether a cube holds what its ledger says, and can be opened: by listing it, or by hashing all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from landslide_scale.bands import BAND_NAMES
from landslide_scale.cube import arrays, manifest, template
from landslide_scale.cube.lean import LeanRecords
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import RunConflictError
from landslide_scale.scan import layout
from landslide_scale.scan.layout import CUBE, Layout
from landslide_scale.scan.plan import Place
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RUN, RunDirectory
from landslide_scale.storage.signs import holder

THREADS = 8
"""Units hashed at a time; each has one object in memory."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong: with a unit, or with an object that belongs to none."""

    of: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What verification found.

    Attributes:
        units: Planned ones.
        bytes: Hashed.
        findings: Everything that is wrong; none of a whole run.
        strays: Objects that belong to no unit.
        files: What is wrong with metadata, coordinates and what the run was planned from: without it no reader opens
            the cube.
    """

    units: int
    bytes: int
    findings: tuple[Finding, ...]
    strays: tuple[str, ...]
    files: tuple[Finding, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the run is complete, and every unit and file is stored as it was written, and nothing else is."""
        return not self.findings and not self.strays and not self.files


def changed(laid: Layout, records: Mapping[str, Record]) -> list[Record]:
    """Records that tell which units that were done are not stored in the bytes that were written; reads no pixel.

    A listing shows what is missing, cut short or left over; what was changed in place only :func:`verify` finds.
    """
    done = {name: record for name, record in records.items() if record.done}
    if not done:
        return []
    sizes = laid.run.sizes(CUBE)
    found = (
        (done[place.id], _by_size(laid, place, sizes, done[place.id])) for place in laid.places if place.id in done
    )
    return [_broken(record, problem) for record, problem in found if problem]


Standing = Callable[[Ledger, Layout], tuple[LeanRecords, list[Record]]]
"""What is known of the units of a run that is gone on with, by id, and records that take some of it away."""


def as_recorded(ledger: Ledger, _: Layout) -> tuple[LeanRecords, list[Record]]:
    """What the ledger says: a record is written after its data. What got lost since, :func:`verify` finds and marks."""
    return ledger.lean_records(), []


def as_listed(ledger: Ledger, laid: Layout) -> tuple[LeanRecords, list[Record]]:
    """What the ledger says, less the units of which an object is not stored in the size that was written."""
    records = ledger.records()
    return LeanRecords(records.values()), changed(laid, records)


def verify(run: RunDirectory, progress: Callable[[int, int], None]) -> Verdict:
    """Hash every stored object against the ledger; broken units are marked, so that a resumed scan redoes them.

    Args:
        run: Its folder.
        progress: Called with units looked at and units in all.

    Raises:
        InvalidInputError: The folder holds no scan, or one is at work in it.
    """
    laid = layout.load(run)
    working = holder(run)
    if working is not None:
        raise RunConflictError(f"a run is at work here: {working}", expected="one that has ended", run=run)
    ledger = Ledger(run)
    records, sizes = ledger.records(), run.sizes(CUBE)
    findings: list[Finding] = []
    with ThreadPoolExecutor(THREADS) as threads:
        looked = threads.map(lambda place: _problem(laid, place, sizes, records.get(place.id)), laid.places)
        for number, (place, problem) in enumerate(zip(laid.places, looked, strict=True), start=1):
            if problem:
                findings.append(Finding(of=place.id, problem=problem))
            progress(number, len(laid.places))
    wrong = {name: f"damaged ({why})" for name, why in ledger.damaged.items()} | manifest.wrong(run, _files(laid))
    files = tuple(Finding(of=name, problem=problem) for name, problem in wrong.items())
    state = run.claimed()["state"]
    if findings or files:
        _mark(run, records, findings, complete=state == "complete")
    if state != "complete" and not findings:
        findings.append(Finding(of=RUN, problem=f"the run is {state}, not complete: --resume finishes it"))
    known = {key for place in laid.places for keys in laid.objects(place).values() for key in keys}
    return Verdict(
        units=len(laid.places),
        bytes=sum(sizes[key] for key in known & sizes.keys()),
        findings=tuple(findings),
        strays=tuple(sorted(_shards(sizes) - known)),
        files=files,
    )


def _files(laid: Layout) -> dict[str, bytes]:
    """Metadata and coordinates as they would be written now, but for what the cube as a whole says of its network."""
    settings = laid.run.claimed()["settings"]
    what = template.Template(
        extents=laid.extents,
        windows=laid.windows,
        grid=GridConfig(block=settings["grid"]["block"], chunk=settings["grid"]["chunk"]),
        sharded=settings["output"]["sharded"],
        bands=laid.bands,
    )
    return {f"{CUBE}/{name}": content for name, content in template.expected(what).items()}


def _problem(laid: Layout, place: Place, sizes: Mapping[str, int], record: Record | None) -> str:
    """What is wrong with a unit; nothing where it is whole."""
    if record is None:
        there = any(key in sizes for keys in laid.objects(place).values() for key in keys)
        said = "not done, though something is stored: its writer was stopped before the record, or the record is lost"
        return said if there else "not done"
    if not record.done:
        return record.error if record.state == "broken" else f"failed: {record.error}"
    return _by_size(laid, place, sizes, record) or _by_hash(laid, place, sizes, record)


def _by_size(laid: Layout, place: Place, sizes: Mapping[str, int], record: Record) -> str:
    wrong = []
    for name, keys in laid.objects(place).items():
        found = sum(sizes.get(key, 0) for key in keys)
        known = record.stored.get(name, {"bytes": 0})["bytes"]
        if found != known:
            wrong.append(f"{name}: {found} bytes stored, {known} recorded")
    return "; ".join(wrong)


def _by_hash(laid: Layout, place: Place, sizes: Mapping[str, int], record: Record) -> str:
    wrong = []
    for name, keys in laid.objects(place).items():
        contents = {key: laid.run.read(f"{CUBE}/{key}") for key in keys if key in sizes}
        if contents and arrays.stored(contents) != record.stored.get(name):
            wrong.append(f"{name}: other bytes than were written")
    return "; ".join(wrong)


def _mark(run: RunDirectory, records: Mapping[str, Record], findings: Sequence[Finding], *, complete: bool) -> None:
    """Have a resumed scan redo what was found, unless another one has worked on it since it was looked at."""
    with held(run):
        ledger = Ledger(run)
        if complete:
            run.note(state="incomplete")
        now = ledger.records()
        for finding in findings:
            record = records.get(finding.of)
            if record is not None and record.done and now.get(finding.of) == record:
                ledger.add(_broken(record, finding.problem))


def _broken(record: Record, problem: str) -> Record:
    return Record(unit=record.unit, state="broken", attempts=record.attempts, error=f"BrokenUnit: {problem}")


def _shards(sizes: Mapping[str, int]) -> set[str]:
    """Names of the stored parts of the cube's variables: ``ZONE/VARIABLE/c/LAYER/ROW/COLUMN``."""
    names = {*(variable.name for variable in arrays.VARIABLES), *BAND_NAMES}
    parts: Iterator[tuple[str, list[str]]] = ((key, key.split("/")) for key in sizes)
    return {key for key, path in parts if len(path) > 2 and path[1] in names and path[2] == "c"}  # noqa: PLR2004
