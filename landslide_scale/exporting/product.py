"""A product: a named step that makes one or several files, whole, in an empty folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landslide_scale.products import names
from landslide_scale.products.manifest import Manifest, Origin, Source
from landslide_scale.products.names import is_inside

Make = Callable[[Path], str]
"""Fills an empty folder with finished files, which are called there as below the folder of the products, and says in
one line what they lack; or says why there is none of this scan."""


def _always() -> None:
    """Whatever is there may be replaced."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """One step of an export.

    Attributes:
        name: Of the step: of its file, or of the first of them.
        kind: One of `names.KINDS`.
        make: Makes its files. It gives the same bytes whenever all else here is the same.
        settings: What its bytes depend on besides the cube and the package: numbers and texts, as JSON has them.
        needs: Names of the products it reads, which come before it.
        takes: Names of the products that it reads where they are there, of the same cube; they come before it too.
        pixels: How many of the cube it reads, to tell how long it takes beside others.
        may_replace: Called before what is there of it is replaced; raises InvalidInputError where it must not be.
    """

    name: str
    kind: str
    make: Make
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    pixels: int = 0
    may_replace: Callable[[], None] = _always

    def __post_init__(self) -> None:
        assert self.kind in names.KINDS, self.kind  # noqa: S101 our own invariant
        assert is_inside(self.name), self.name  # noqa: S101 as above


def single(name: str, make: Callable[[Path], str | None]) -> Make:
    """What makes a product of one file.

    Args:
        name: Of the file, below the folder of the products.
        make: Writes it to the path it is given; the folder is there. It may say what the file lacks.
    """

    def fill(folder: Path) -> str:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return make(path) or ""

    return fill


def given(contents: Callable[[], Mapping[str, bytes]]) -> Make:
    """What makes a product of files whose contents are known by name."""

    def fill(folder: Path) -> str:
        for name, content in contents().items():
            assert is_inside(name), name  # noqa: S101 our own invariant
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return ""

    return fill


def origin_of(product: Product, manifest: Manifest, source: Source) -> Origin:
    """All that a product would be made of now.

    Args:
        product: It.
        manifest: Of the products that it reads.
        source: What all are made of.
    """
    there = manifest.of_cube(source.cube_sha256).entries
    read = [there[name].files for name in (*product.needs, *product.takes) if name in there]
    return Origin(
        made_by=source.made_by,
        cube_sha256=source.cube_sha256,
        settings=json.loads(json.dumps(product.settings)),  # as it will be read: tuples become lists
        inputs={name: known.sha256 for files in read for name, known in files.items()},
    )
