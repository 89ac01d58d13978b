"""Whether a GeoPackage that is to be replaced is as it was made: what an analyst wrote there is nowhere else."""

from __future__ import annotations

from pathlib import Path

from landslide_scale.errors import InvalidInputError
from landslide_scale.products import names
from landslide_scale.products.manifest import Manifest
from landslide_scale.products.vectors.edited import edits
from landslide_scale.storage.files import file_sha256, local_path
from landslide_scale.storage.rundir import RunDirectory

BESIDE = ("-wal", "-journal")
"""Endings of what SQLite keeps beside a file while a program has changes of it; replaced alone, it would be damaged."""


def check_untouched(target: RunDirectory) -> None:
    """Look whether a GeoPackage may be replaced; on S3, where no program writes into one, it may.

    Raises:
        InvalidInputError: A program has it open, or an analyst wrote into it.
    """
    path = local_path(target.at(names.GEOPACKAGE))
    if path is None or not path.is_file():
        return
    if any(_has_content(Path(f"{path}{ending}")) for ending in BESIDE):
        raise InvalidInputError(
            "a file that is open elsewhere, with changes beside it",
            expected="one that was saved and closed, before it is made anew",
            cure="Save the edits and close the project in QGIS.",
            file=path,
        )
    known = Manifest.read(target).files.get(names.GEOPACKAGE)
    if known is not None and path.stat().st_size == known.bytes and file_sha256(path) == known.sha256:
        return
    if count := edits(path, path.with_name(names.POLYGONS)):
        raise InvalidInputError(
            f"edited landslides: {count} (the event, filled, counts as one), which would be lost with the file",
            expected="a file as it was made, before it is made anew",
            cure="Move it elsewhere, where the edits are kept, and export again; or export to another place by --to.",
            file=path,
        )


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
