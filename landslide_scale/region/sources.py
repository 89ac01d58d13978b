"""Files that hold polygons, found on this machine: as they are, in a folder or an archive, or copied from afar."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from landslide_scale.errors import (
    InvalidCheckpointError,
    InvalidRegionError,
    PermanentReadError,
    TryAgainError,
)
from landslide_scale.reading.asking import fetched as over_http
from landslide_scale.redaction import redacted
from landslide_scale.scene import Access
from landslide_scale.storage.files import away_now, local_path, read_range

PARQUET = (".parquet", ".geoparquet")
_GEODATABASE = ".gdb"
_VECTOR = (".shp", ".gpkg", ".geojson", ".geojsonl", ".geojsons", ".fgb", ".kml", ".kmz", *PARQUET)
"""What is looked for in folders and archives. A ``.json`` there is mostly a style or a description."""

_MOST_UNPACKED = 4_000_000_000
"""Bytes of an archive, as its directory declares them: more is no outline of a region."""

_MOST_FETCHED = 2_000_000_000
"""Bytes of a file that is fetched from afar, unpacked where its server packs it."""

_FETCHED_S = 1800.0

_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError)
"""What zipfile raises over archives that are damaged, or encrypted or compressed unusually (RuntimeError)."""


@contextmanager
def vector_files(url: str) -> Iterator[tuple[Path, ...]]:
    """The files that a path, a folder, a ``.zip`` or an fsspec URL stands for, while the context lasts.

    Raises:
        InvalidRegionError: There is no such file, it cannot be fetched or unpacked, or holds no vector file.
        StorageAwayError: It cannot be fetched now.
    """
    with tempfile.TemporaryDirectory(prefix="landslide-scale-") as scratch:
        try:
            found = _found(_here(url, Path(scratch)), Path(scratch, "unpacked"), url)
        except OSError as error:
            raise InvalidRegionError(
                f"cannot be read ({error.strerror})", expected="a readable vector file", file=redacted(url)
            ) from None
        if not found:
            raise InvalidRegionError(
                "no vector file in it", expected=f"one of {', '.join(_VECTOR)}", file=redacted(url)
            )
        yield found


def _found(path: Path, scratch: Path, url: str) -> tuple[Path, ...]:
    if path.suffix.lower() == ".zip" and path.is_file():
        return _vector(_unpacked(path, scratch, url).rglob("*"))
    if path.is_dir() and path.suffix.lower() != _GEODATABASE:
        return _vector(path.iterdir())
    return (path,)


def _here(url: str, scratch: Path) -> Path:
    """A local file where it is, a remote one in a copy of the same name: formats are told by it."""
    path = local_path(url)
    if path is not None:
        if not path.exists():
            raise InvalidRegionError("no such file", expected="a readable vector file", file=url)
        return path.absolute()  # so that nothing in it can be taken for the name of a driver
    copy = scratch / (PurePosixPath(redacted(url)).name or "file")
    if copy.suffix.lower() == ".shp":
        raise InvalidRegionError(
            "a shapefile, which is several files",
            expected="one file",
            cure="Put .shp, .shx, .dbf and .prj into one .zip, or give a GeoPackage.",
            file=redacted(url),
        )
    copy.write_bytes(_fetched(url))
    return copy


def _fetched(url: str) -> bytes:
    """A file's bytes; by http(s) from the host that was named alone, as assets of scenes are."""
    try:
        if url.startswith(("http://", "https://")):
            return over_http(url, Access(), most_bytes=_MOST_FETCHED, within_s=_FETCHED_S)
        return read_range(url, 0, None)
    except TryAgainError as error:
        raise away_now(error.found, url) from None
    except (PermanentReadError, InvalidCheckpointError) as error:
        raise InvalidRegionError(error.found, expected="a readable path or fsspec URL", file=redacted(url)) from None


def _unpacked(archive: Path, folder: Path, url: str) -> Path:
    """The files of an archive: unpacked, because their names are in many encodings and their sums are checked so."""
    try:
        with zipfile.ZipFile(archive) as opened:
            size = sum(member.file_size for member in opened.infolist())
            if size > _MOST_UNPACKED:
                raise InvalidRegionError(
                    f"{size:,} bytes once unpacked", expected=f"at most {_MOST_UNPACKED:,}", file=redacted(url)
                )
            opened.extractall(folder)
    except _BROKEN_ARCHIVE as error:
        raise InvalidRegionError(
            f"cannot be unpacked ({error})", expected="a .zip of vector files, whole", file=redacted(url)
        ) from None
    folder.mkdir(exist_ok=True)
    return folder


def _vector(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Vector files among `paths`, sorted; without hidden ones, which macOS puts beside each file of an archive."""
    return tuple(
        sorted(
            path
            for path in paths
            if path.suffix.lower() in _VECTOR
            and not path.name.startswith(".")
            and "__MACOSX" not in path.parts
            and _GEODATABASE not in {parent.suffix.lower() for parent in path.parents}
        )
    )
