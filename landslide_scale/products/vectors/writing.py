"""What goes wrong while a library writes a file, in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyogrio.errors import CRSError, DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

from landslide_scale.errors import BrokenRunError
from landslide_scale.storage.files import storing

_GDAL = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError, CRSError)


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
