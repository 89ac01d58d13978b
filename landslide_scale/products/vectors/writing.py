"""Rows written by GDAL as they come, and what goes wrong while a library writes a file, in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyogrio
from pyogrio.errors import CRSError, DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

from landslide_scale.errors import BrokenRunError
from landslide_scale.storage.files import storing

_GDAL = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError, CRSError)


def write_rows(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, **how: object) -> None:
    """Write rows to a layer of a file while they are made, so that no more than a batch of them is held.

    Args:
        schema: Of the rows.
        batches: Of rows; what goes wrong while they are made is raised as it is.
        path: Where.
        how: As :func:`pyogrio.write_arrow` takes it.

    Raises:
        BrokenRunError: As in :func:`writing`.
    """
    failed: list[Exception] = []

    def kept() -> Iterator[pa.RecordBatch]:
        # Arrow hands over that there was an error, but not which.
        try:
            yield from batches
        except Exception as error:
            failed.append(error)
            raise

    with writing(path):
        try:
            pyogrio.write_arrow(pa.RecordBatchReader.from_batches(schema, kept()), path, **how)
        except RuntimeError as error:
            raise (failed[0] if failed else DataSourceError(str(error))) from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what GDAL, SQLite and Arrow write to a local file.

    Raises:
        BrokenRunError: A full disk, or one that refuses.
        StorageAwayError: It may pass.
    """
    try:
        with storing(str(path)):
            yield
    except (*_GDAL, sqlite3.Error) as error:
        raise BrokenRunError(
            f"cannot be written ({type(error).__name__}: {error})",
            expected="room for the file, and a disk that takes it",
            cure="Make room and export again: what was finished is kept.",
            file=str(path),
        ) from error
