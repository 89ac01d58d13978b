"""Whether products are as their manifest says, and of the cube as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from landslide_scale.errors import InvalidInputError, RunConflictError
from landslide_scale.products import names
from landslide_scale.products.manifest import Manifest, Stored
from landslide_scale.products.names import MAKING
from landslide_scale.products.scanned import scanned
from landslide_scale.scan.verify import Finding
from landslide_scale.storage.durable import is_unfinished
from landslide_scale.storage.files import sha256_at
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import PREFIX, holder

_OF_SQLITE = ("-wal", "-shm", "-journal")

THREADS = 8
"""Files hashed at a time; a piece of each is in memory."""


@dataclass(frozen=True, kw_only=True)
class ProductsVerdict:
    """What verification of products found.

    Attributes:
        files: That the manifest names.
        sound: Those that are as they were made.
        bytes: Hashed.
        findings: Everything that is wrong: missing, changed and unknown files, and what was made of another cube.
    """

    files: int
    sound: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def stated_cube(run: RunDirectory) -> str:
    """SHA-256 of what a run's ledger says is stored; empty where nothing of it is done."""
    try:
        return scanned(run).cube_sha256
    except InvalidInputError:
        return ""


def verify_products(
    target: RunDirectory, cube_sha256: str, progress: Callable[[int, int], None]
) -> ProductsVerdict | None:
    """Hash every product against the manifest; None where there are no products.

    What is missing or changed is marked, so that the next export makes it anew.

    Args:
        target: Their folder.
        cube_sha256: Of the cube as it is.
        progress: Called with files looked at and files in all.

    Raises:
        RunConflictError: An export is at work there, or the manifest is something else.
        BrokenRunError: A file cannot be read.
    """
    working = holder(target)
    if working is not None:
        raise RunConflictError(f"an export is at work here: {working}", expected="one that has ended", products=target)
    manifest, sizes = Manifest.read(target), target.sizes("")
    if not manifest.entries and not sizes:
        return None
    stated = Manifest(entries={name: one for name, one in manifest.entries.items() if not one.is_void}).files
    findings = [*_of_entries(manifest, cube_sha256), *_unknown(manifest, sizes)]
    wrong: set[str] = set()
    with ThreadPoolExecutor(THREADS) as threads:
        looked = threads.map(lambda name: _problem(target, name, stated[name], sizes.get(name)), stated)
        for number, (name, problem) in enumerate(zip(stated, looked, strict=True), start=1):
            if problem:
                findings.append(Finding(of=name, problem=problem))
                wrong.add(name)
            progress(number, len(stated))
    if wrong:
        manifest.void({name for name, one in manifest.entries.items() if wrong & one.files.keys()}).keep(target)
    return ProductsVerdict(
        files=len(manifest.files),
        sound=len(stated) - len(wrong),
        bytes=sum(known.bytes for name, known in stated.items() if sizes.get(name) == known.bytes),
        findings=tuple(sorted(findings, key=lambda one: one.of)),
    )


def _of_entries(manifest: Manifest, cube_sha256: str) -> Iterator[Finding]:
    for name, entry in manifest.entries.items():
        if entry.is_void:
            yield Finding(
                of=name,
                problem="to be made anew: it was found to be changed, or an export was stopped while it replaced it",
            )
        elif entry.origin.cube_sha256 != cube_sha256:
            yield Finding(of=name, problem="stale: made of another state of the cube")


def _problem(target: RunDirectory, name: str, known: Stored, size: int | None) -> str:
    if size is None:
        return "missing"
    if size != known.bytes:
        return f"changed: {size} bytes, {known.bytes} recorded"
    return "" if sha256_at(target.at(name), size) == known.sha256 else "changed: other bytes than were made"


def _unknown(manifest: Manifest, sizes: Mapping[str, int]) -> Iterator[Finding]:
    known = manifest.files.keys() | {names.MANIFEST}
    for name in sizes.keys() - known:
        if name.startswith((f"{MAKING}/", PREFIX)) or is_unfinished(name):
            yield Finding(of=name, problem="left by an export that was stopped; the next one removes it")
        elif name.endswith(_OF_SQLITE) and name.rpartition("-")[0] in known:
            yield Finding(of=name, problem="of a program that has the file open: close it there; do not delete this")
        else:
            yield Finding(of=name, problem="unknown: of no product; delete it")
