"""What an asset says about its numbers, and which of them are observations.

A file may declare a number that stands for no data, a scale and an offset, or a mask. What can be honoured is; what
contradicts the scene is refused by name, so that nobody's -9999 becomes a reflectance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import QUANTIFICATION, Scl
from landslide_scale.errors import PermanentReadError
from landslide_scale.redaction import redacted

LARGEST_NUMBER = 2**15 - 1
"""Products hold 15 bits; beyond are fillings such as 65535."""

OUTSIDE = -1
"""In classes: no pixel of the asset."""

_UNKNOWN_CLASS = 255


class Stored(Protocol):
    """How the numbers of an asset are to be understood.

    Attributes:
        kind: Of the values that they become.
    """

    kind: ClassVar[type[np.generic]]

    def check(self, dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
        """Refuses an open file whose claims cannot be honoured (:class:`PermanentReadError`)."""

    def outside(self, shape: tuple[int, int]) -> NDArray[Any]:
        """What stands where the asset has no pixels."""

    def taken(self, numbers: NDArray[Any], nodata: float | None) -> NDArray[Any]:
        """Numbers of a file that declares `nodata` as what is counted on: none is what stands outside too."""


class _Numbers:
    """Digital numbers as float32, NaN for none."""

    kind: ClassVar[type[np.generic]] = np.float32

    def outside(self, shape: tuple[int, int]) -> NDArray[Any]:
        """NaN."""
        return np.full(shape, np.nan, np.float32)


@dataclass(frozen=True, kw_only=True)
class Reflectance(_Numbers):
    """Digital numbers of surface reflectance.

    Attributes:
        offset: What the scene's rule adds to them before division by 10 000.
        zero: Whether 0 may be dark ground, whatever a file declares (``Scene.zero_is_data``).
    """

    offset: int = 0
    zero: bool = False

    def check(self, dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
        """Scale and offset are those of the scene, or none; there is no mask beside the numbers."""
        stated, meant = (dataset.scales[0], dataset.offsets[0]), (1 / QUANTIFICATION, self.offset / QUANTIFICATION)
        agrees = all(math.isclose(one, other, abs_tol=1e-9) for one, other in zip(stated, meant, strict=True))
        if stated != (1.0, 0.0) and not agrees:
            raise PermanentReadError(
                f"scale {stated[0]:g} and offset {stated[1]:g} in the file",
                expected=f"none, or {meant[0]:g} and {meant[1]:g} as the scene's processing has them",
                file=redacted(href),
            )
        _refuse_mask(dataset, href)

    def taken(self, numbers: NDArray[Any], nodata: float | None) -> NDArray[Any]:
        """NaN for what is declared no data, for 0 where that is none, and for what no product holds."""
        none = (numbers < (0 if self.zero else 1)) | (numbers > LARGEST_NUMBER)
        if nodata:  # 0 is none already, or is not to be
            none |= numbers == nodata
        out = numbers.astype(np.float32)
        np.copyto(out, np.float32(np.nan), where=none)
        return out


@dataclass(frozen=True, kw_only=True)
class AnyButZero(_Numbers):
    """Digital numbers as runs took them before files were asked: all but 0."""

    def check(self, dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
        """Nothing is refused."""

    def taken(self, numbers: NDArray[Any], nodata: float | None) -> NDArray[Any]:
        """NaN for 0."""
        del nodata
        return np.where(numbers != 0, numbers, np.float32(np.nan)).astype(np.float32, copy=False)


class _Codes:
    """Scene classes as int16, -1 where the asset has no pixels."""

    kind: ClassVar[type[np.generic]] = np.int16

    def outside(self, shape: tuple[int, int]) -> NDArray[Any]:
        """-1."""
        return np.full(shape, OUTSIDE, np.int16)


@dataclass(frozen=True, kw_only=True)
class Classes(_Codes):
    """Scene classes."""

    def check(self, dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
        """They are neither scaled nor masked."""
        _refuse_scale(dataset, href, of="classes", expected="classes as they are")
        _refuse_mask(dataset, href)

    def taken(self, numbers: NDArray[Any], nodata: float | None) -> NDArray[Any]:
        """Class 0 for what is declared no data, 255 for what is no class at all."""
        known = np.where((numbers >= 0) & (numbers < _UNKNOWN_CLASS), numbers, _UNKNOWN_CLASS).astype(np.int16)
        if nodata is not None:
            known[numbers == nodata] = Scl.NO_DATA
        return known


@dataclass(frozen=True, kw_only=True)
class Answers(_Codes):
    """What a mask says of a pixel: percent, or classes of its own; -1 where it says nothing, as outside.

    Attributes:
        largest: Numbers beyond say nothing.
    """

    largest: int = LARGEST_NUMBER

    def check(self, dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
        """They are neither scaled nor masked."""
        _refuse_scale(dataset, href, of="a mask", expected="numbers as they are")
        _refuse_mask(dataset, href)

    def taken(self, numbers: NDArray[Any], nodata: float | None) -> NDArray[Any]:
        """-1 for what says nothing; 0 never does: files of probabilities declare it as no data and mean 0 percent."""
        said = (numbers >= 0) & (numbers <= self.largest)
        if nodata:
            said &= numbers != nodata
        return np.where(said, numbers.astype(np.int32), OUTSIDE).astype(np.int16)


@dataclass(frozen=True, kw_only=True)
class UnaskedClasses(_Codes):
    """Scene classes as runs took them before files were asked: the lowest eight bits."""

    def check(self, dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
        """Nothing is refused."""

    def taken(self, numbers: NDArray[Any], nodata: float | None) -> NDArray[Any]:
        """The lowest eight bits."""
        del nodata
        return numbers.astype(np.uint8).astype(np.int16)


def _refuse_scale(dataset: Any, href: str, *, of: str, expected: str) -> None:  # noqa: ANN401 as above
    if (dataset.scales[0], dataset.offsets[0]) != (1.0, 0.0):
        raise PermanentReadError(
            f"scale {dataset.scales[0]:g} and offset {dataset.offsets[0]:g} in a file of {of}",
            expected=expected,
            file=redacted(href),
        )


def _refuse_mask(dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
    if "per_dataset" in {flag.name for flag in dataset.mask_flag_enums[0]}:
        raise PermanentReadError(
            "a mask beside the band", expected="no data as a number that the file declares", file=redacted(href)
        )
