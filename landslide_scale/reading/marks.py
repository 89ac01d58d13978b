"""By what a file is known again: what was read of it by one process and by another is to be of the same file.

A file at an address is read in ranges, by many processes and over days, and none of them sees all of it. Where its
compressed blocks lie says more of it than its size: the last one's place is the sum of all before it. Of a file on disk
its first and last bytes say more; a remote one is asked for nothing more, so that one that is not compressed is known
by its layout alone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from landslide_scale.errors import TryAgainError
from landslide_scale.redaction import redacted

_LENGTH = 12
_ENDS = 65_536
"""Bytes at the beginning and at the end of a file on disk."""

_seen: dict[str, set[str]] = {}
"""Marks of what was opened since :func:`begin`, by address, in this process."""


def begin() -> None:
    """Forget what was opened: another unit is read."""
    _seen.clear()


def note(href: str, dataset: Any) -> None:  # noqa: ANN401 rasterio ships no types
    """An address was opened."""
    _seen.setdefault(href, set()).add(mark_of(dataset, b"" if "://" in href else _ends(Path(href))))


def seen(href: str) -> str:
    """The mark of a file that was opened; empty where it was not.

    Raises:
        TryAgainError: It was another file when it was opened once more: what was read of it is of both.
    """
    marks = sorted(_seen.get(href, ()))
    if len(marks) > 1:
        raise TryAgainError("a file that was replaced while it was read", expected="one file", file=redacted(href))
    return marks[0] if marks else ""


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(_ENDS)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - _ENDS, 0))
        return b"%d" % length + head + file.read()


def mark_of(dataset: Any, ends: bytes = b"") -> str:  # noqa: ANN401 rasterio ships no types
    """Twelve hexadecimal digits of an open GeoTIFF: size, type, where three of its blocks lie, and its `ends`."""
    (rows, cols), (high, wide) = dataset.shape, dataset.block_shapes[0]
    last = (-(-cols // wide) - 1, -(-rows // high) - 1)
    blocks = ((0, 0), (last[0] // 2, last[1] // 2), last)
    said = [
        dataset.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1) for x, y in blocks for what in ("OFFSET", "SIZE")
    ]
    text = repr((rows, cols, high, wide, dataset.dtypes[0], said))
    return hashlib.sha256(text.encode() + ends).hexdigest()[:_LENGTH]
