"""NetCDF-4 files by h5py: arrays by the names of their dimensions, and attributes as text whoever wrote them.

What a file declares is checked before anything is allocated for it, and nothing is taken from another file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from landslide_scale.errors import InvalidDatasetError

T = TypeVar("T")

_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, StopIteration, OverflowError)
"""What h5py raises over files that are cut off, damaged or of something else."""

_MOST_BYTES = 64_000_000
"""Of one array, and of one piece of a compressed one: of a published file they are half a megabyte."""

_LONGEST_TEXT = 1_000_000
"""Bytes of an attribute."""

_PACKED = ("_FillValue", "missing_value", "scale_factor", "add_offset")
"""Attributes by which stored numbers would mean others."""


@dataclass(frozen=True, kw_only=True)
class NetCdf:
    """An open file.

    Attributes:
        file: As h5py has it.
        where: Its path, for messages.
    """

    file: Any
    where: str

    def text(self, name: str, *, of: str = "") -> str:
        """An attribute as text, of the file or one of its variables; empty where it is.

        netCDF-C stores text as bytes and the empty one as nothing at all, h5netcdf as strings.

        Raises:
            InvalidDatasetError: There is none, or it is no text.
        """

        def found() -> str:
            attributes = (self.file[of] if of else self.file).attrs
            declared = attributes.get_id(name)
            if math.prod(declared.shape or ()) * declared.dtype.itemsize > _LONGEST_TEXT:
                raise ValueError(f"more than {_LONGEST_TEXT:,} bytes")
            value = attributes[name]
            if isinstance(value, h5py.Empty):
                return ""
            if isinstance(value, np.ndarray) and value.size == 1:
                value = value.reshape(-1)[0]
            if not isinstance(value, str | bytes):
                raise TypeError(f"a {type(value).__name__}")
            return value.decode() if isinstance(value, bytes) else str(value)

        return self._asked(f"text {name}{f' of {of}' if of else ''}", found)

    def array(self, name: str, axes: Sequence[str], sizes: Mapping[str, int], kinds: str = "iu") -> NDArray[Any]:
        """A variable with its axes in the order asked for, whatever their order in the file.

        Args:
            name: Of the variable.
            axes: Names of its dimensions, all of them.
            sizes: What of them is known; those that are not are taken as they are.
            kinds: Of its numbers, as NumPy calls them.

        Raises:
            InvalidDatasetError: There is none, it has other dimensions, sizes or numbers, lies in another file, or
                its numbers stand for others (a fill value, scale or offset).
        """
        expected = f"{name} ({', '.join(f'{axis} {sizes[axis]}' if axis in sizes else axis for axis in axes)})"
        dataset = self._asked(expected, lambda: self._own(name))
        named = self._asked(f"{expected} with named dimensions", lambda: _dimensions(dataset))
        declared = dict(zip(named, dataset.shape, strict=True))
        if sorted(named) != sorted(axes) or any(declared[axis] != size for axis, size in sizes.items() if axis in axes):
            found = ", ".join(f"{axis} {size}" for axis, size in zip(named, dataset.shape, strict=True))
            raise InvalidDatasetError(f"{name} ({found})", expected=expected, file=self.where)
        self._check(name, dataset, kinds)
        values = self._asked(expected, lambda: dataset[()])
        return np.ascontiguousarray(np.transpose(values, [named.index(axis) for axis in axes]))

    def _own(self, name: str) -> Any:  # noqa: ANN401 h5py ships no types
        if not isinstance(self.file.get(name, getlink=True), h5py.HardLink):
            raise KeyError(f"no variable {name}")
        dataset = self.file[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            raise TypeError(f"{name} is no array")
        if dataset.is_virtual or dataset.external:
            raise ValueError(f"{name} lies in another file")
        return dataset

    def _check(self, name: str, dataset: Any, kinds: str) -> None:  # noqa: ANN401 as above
        if dataset.dtype.kind not in kinds:
            raise InvalidDatasetError(f"{name} of {dataset.dtype}", expected="numbers as published", file=self.where)
        most = max(math.prod(dataset.shape), math.prod(dataset.chunks or (0,))) * dataset.dtype.itemsize
        if most > _MOST_BYTES:
            raise InvalidDatasetError(f"{name} of {most:,} bytes", expected=f"at most {_MOST_BYTES:,}", file=self.where)
        packed = [key for key in _PACKED if key in dataset.attrs and dataset.dtype.kind in "iu"]
        if packed:
            raise InvalidDatasetError(
                f"{name} has {', '.join(packed)}", expected="digital numbers as they are", file=self.where
            )

    def _asked(self, expected: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except _DAMAGED as error:
            said = " ".join(str(error).strip("'\"").split())
            raise InvalidDatasetError(said or type(error).__name__, expected=expected, file=self.where) from None


def _dimensions(dataset: Any) -> tuple[str, ...]:  # noqa: ANN401 h5py ships no types
    """Names of the dimensions of an array: those of the scales that are attached to it, or its own if it is one."""
    if dataset.is_scale:
        return (dataset.name.rpartition("/")[2],)
    return tuple(next(iter(axis.values())).name.rpartition("/")[2] for axis in dataset.dims)


@contextmanager
def opened(path: Path) -> Iterator[NetCdf]:
    """A file, while the context lasts.

    Raises:
        InvalidDatasetError: It cannot be read, or is no NetCDF-4 file.
    """
    try:
        file = h5py.File(path, "r")
    except _DAMAGED as error:
        raise InvalidDatasetError(f"cannot be read ({error})", expected="a NetCDF-4 file", file=path) from None
    with file:
        yield NetCdf(file=file, where=str(path))
