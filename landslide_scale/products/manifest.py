"""What was made, of what, and with what: ``products.json`` beside the products."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from landslide_scale.errors import RunConflictError
from landslide_scale.products import names
from landslide_scale.products.names import is_inside
from landslide_scale.storage.rundir import RunDirectory

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file: its size, and its SHA-256."""

    bytes: int
    sha256: str


Files = Mapping[str, Stored]
"""Of a product, by name below the folder of the products."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of making a product: its files and what they lack, or why there is none of this scan."""

    files: Files
    left_out: str = ""
    lacking: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What all products of a run are made of.

    Attributes:
        made_by: Version of the package, with the commit where it runs from a checkout.
        cube_sha256: Of what the ledger says is stored of the cube.
        units: Planned ones.
        missing: Those that the cube does not hold.
    """

    made_by: str
    cube_sha256: str
    units: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """All that the bytes of a product depend on.

    Attributes:
        made_by, cube_sha256: As of its source.
        settings: The product's own.
        inputs: SHA-256 of the files it was made from, by name.
    """

    made_by: str
    cube_sha256: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A product that was made.

    Attributes:
        kind: One of `names.KINDS`.
        origin: What it was made of.
        units, units_missing: Planned ones of the run, and how many of them the cube did not hold.
        files: What it consists of.
        left_out: Why there is none of this scan; empty where there are files.
        lacking: What could not be put into these, and may be another time; empty where all could.
    """

    kind: str
    origin: Origin
    units: int
    units_missing: int
    files: Files
    left_out: str = ""
    lacking: str = ""

    @property
    def is_void(self) -> bool:
        """Whether it is to be made anew: its files are being replaced, or were found to be others."""
        return not self.origin.cube_sha256

    def void(self) -> Entry:
        """What is said of it then: the names of its files alone still hold."""
        return replace(self, origin=replace(self.origin, cube_sha256=""))

    def is_current(self, origin: Origin, sizes: Mapping[str, int]) -> bool:
        """Whether making it again would give the same, as far as the sizes of what is there tell."""
        whole = all(sizes.get(name) == known.bytes for name, known in self.files.items())
        return whole and self.origin == origin and not self.lacking


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that was made.

    Attributes:
        entries: By name of the product.
        missing: Units that the newest export did not find in the cube.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, Stored]:
        """All files, by name."""
        return {name: known for entry in self.entries.values() for name, known in entry.files.items()}

    def with_entry(self, name: str, entry: Entry) -> Manifest:
        """With a product that was made, in the place of what was known of it."""
        return replace(self, entries={**self.entries, name: entry})

    def without(self, name: str) -> Manifest:
        """With nothing known of a product."""
        return replace(self, entries={known: entry for known, entry in self.entries.items() if known != name})

    def void(self, products: Collection[str]) -> Manifest:
        """With products of which names of files alone still hold."""
        return replace(
            self, entries={name: one.void() if name in products else one for name, one in self.entries.items()}
        )

    def of_kinds(self, kinds: Collection[str]) -> Manifest:
        """With products of these kinds alone."""
        return replace(self, entries={name: one for name, one in self.entries.items() if one.kind in kinds})

    def of_cube(self, cube_sha256: str) -> Manifest:
        """With the products alone that were made of this cube."""
        current = {name: one for name, one in self.entries.items() if one.origin.cube_sha256 == cube_sha256}
        return replace(self, entries=current)

    def keep(self, target: RunDirectory) -> None:
        """Write it down, in the order of names: it is the same in whatever order products were made."""
        content = {"format": FORMAT, "missing": sorted(self.missing), "products": asdict(self)["entries"]}
        target.write(names.MANIFEST, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())

    @classmethod
    def read(cls, target: RunDirectory) -> Manifest:
        """What is known of a folder; nothing of one without a manifest.

        Raises:
            RunConflictError: Its manifest is something else.
        """
        if not target.exists(names.MANIFEST):
            return cls()
        try:
            return _manifest(json.loads(target.read(names.MANIFEST)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunConflictError(
                f"a {names.MANIFEST} of something else ({type(error).__name__}: {error})",
                expected=f"a folder for products alone, with a manifest of format {FORMAT} or none",
                cure="Choose another place by --to, or remove the folder: export makes all of it again.",
                run=target,
            ) from error


def _manifest(content: dict[str, Any]) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}")
    entries = {name: _entry(said) for name, said in content["products"].items()}
    return Manifest(entries=entries, missing=tuple(content["missing"]))


def _entry(said: dict[str, Any]) -> Entry:
    files = {name: Stored(**known) for name, known in said["files"].items()}
    for name in files:
        if not is_inside(name):
            raise ValueError(f"file {name!r}")
    return Entry(**said | {"origin": Origin(**said["origin"]), "files": files})
