"""Files that a user names to be read and never written: one, all below a folder, or those that a pattern fits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from fsspec.implementations.local import LocalFileSystem

from landslide_scale.errors import InvalidInputError
from landslide_scale.redaction import redacted
from landslide_scale.storage.absence import failures, may_pass, riding_out
from landslide_scale.storage.files import away_now, filesystem

_BESIDE_STAR = re.compile(r"([?\[])")
"""What fsspec takes for parts of a pattern, beside ``*``: here they are parts of names."""

MOST_BYTES = 512 * 2**20
"""Of one file."""


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file to be read.

    Attributes:
        address: Its path, or its URL where it is not on a local disk; with the keys it was named with.
        ending: Of its name, in lower case, with the dot.
    """

    address: str
    ending: str

    def read(self) -> bytes:
        """The whole file.

        Raises:
            InvalidInputError: It cannot be read, or is larger than :data:`MOST_BYTES`.
            StorageAwayError: It cannot be read now.
        """
        content = riding_out(self._read)
        if len(content) > MOST_BYTES:
            raise InvalidInputError(
                f"more than {MOST_BYTES:,} bytes", expected="smaller files", file=redacted(self.address)
            )
        return content

    def _read(self) -> bytes:
        with _reading(self.address):
            files, path = filesystem(self.address)
            if self.address.startswith(
                ("http://", "https://")
            ):  # opening would first ask for the size, and lose why not
                return bytes(files.cat_file(path, start=0, end=MOST_BYTES + 1))
            with files.open(path, "rb") as file:
                return bytes(file.read(MOST_BYTES + 1))


def input_files(url: str, endings: Sequence[str]) -> list[InputFile]:
    """The file at `url`, those below it at any depth, or those that it fits as a pattern with ``*``; by address.

    Args:
        url: A path or fsspec URL; what ends in one of `endings` is one file.
        endings: Of names, in lower case; others below a folder are left alone.

    Raises:
        InvalidInputError: There is none, or the storage cannot be listed.
    """
    if "*" not in url and ending_of(url) in endings:
        with _reading(url):
            files, path = filesystem(url)
            return [InputFile(address=path if isinstance(files, LocalFileSystem) else url, ending=ending_of(url))]
    if urlsplit(url).scheme in {"http", "https"}:
        raise InvalidInputError(
            "a folder behind http", expected=f"one file, that ends in {', '.join(endings)}", file=redacted(url)
        )
    found = sorted(address for address in _listed(url) if ending_of(address) in endings)
    if not found:
        raise InvalidInputError("no files", expected=f"names that end in {', '.join(endings)}", file=redacted(url))
    return [InputFile(address=address, ending=ending_of(address)) for address in found]


def ending_of(address: str) -> str:
    """Of the last name of a path or URL, in lower case, with the dot; empty where it has none."""
    return PurePosixPath(urlsplit(address).path if "://" in address else address).suffix.lower()


def _listed(url: str) -> list[str]:
    with _reading(url):
        files, path = filesystem(url)
        found: Any = files.glob(_BESIDE_STAR.sub(r"[\1]", path)) if "*" in url else files.find(path)
        return [name if isinstance(files, LocalFileSystem) else files.unstrip_protocol(name) for name in found]


@contextmanager
def _reading(url: str) -> Iterator[None]:
    unreadable: tuple[type[Exception], ...] = (*failures(), ValueError, ImportError)
    try:
        yield
    except unreadable as error:
        if may_pass(error):
            raise away_now(f"{type(error).__name__}: {error}", url) from error
        # Without the chain, which may repeat the address with its keys.
        raise InvalidInputError(
            f"cannot be read ({type(error).__name__}: {error})",
            expected="a path or fsspec URL that this machine may read",
            file=redacted(url),
        ) from None
