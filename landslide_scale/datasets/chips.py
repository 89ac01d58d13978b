"""Training chips as ``landslide-scale chips`` writes them: ``chips.json`` and one ``NAME.npz`` per chip.

``chips.json`` is ``{"version": 1, "bands": [...], "radiometry": "boa", "resolution": 10.0, "size": N}``, with bands of
elevation also ``"dem": [...]``, the tiles they are from, and ``"dem_interpolation"``, how they were found between its
pixels (where it is not said, bilinear). Later chips say too how their pixels were made, ``"composite": {"method": ...,
"clear": [...], "dilate_m": ..., "mask": [...]}``, ``"windows": N`` and ``"dem_source": {"profile": ...,
"collection": ...}``, that they are all of a labelled region, ``"fair_share": true``, and which there are, each with the
SHA-256 of its file, ``"chips": {NAME: ...}``. Imported ones say whose mapping the label of each is from,
``"inventories": {NAME: ...}``.

An npz holds ``image`` float32 (C, N, N), NaN where there is no data, and ``label`` uint8 (N, N) of 0, 1 and 255.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, get_args

import numpy as np

from landslide_scale.bands import TERRAIN_BANDS
from landslide_scale.datasets.sample import LABELS, Sample, need_names
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import Radiometry

if TYPE_CHECKING:
    from landslide_scale.datasets.files import Files

INDEX = "chips.json"
VERSION = 1

LEAST_OBSERVED = 0.5
"""A chip is not kept where less was observed of the region's ground in it."""

_COPY = "Copy the set again, whole; what was made here is made again by `landslide-scale chips --config FILE --resume`."

_Header = Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]
_HEADERS: dict[tuple[int, int], _Header] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# NumPy parses a header with `ast`, whose depth count Python 3.11 shares between threads (CPython gh-106905): chips
# opened by several threads now and then ended in a SystemError. Only headers wait for each other; inflating does not.
_HEADER_LOCK = threading.Lock()


LARGEST_SIDE = 8192
"""Pixels; a chip of a block of the lattice has 448 to 2048."""

_MOST_VALUES = 100_000_000
"""Of one chip, as of a picture."""

_LARGEST = 1e12

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ChipIndex:
    """What ``chips.json`` says of all chips of a folder.

    Attributes:
        bands: Names of the image's channels, in order.
        radiometry: Units of the image.
        resolution: Metres per pixel.
        size: Pixels per side.
        facts: What else it says, the resolution again among it.
        inventories: Whose mapping the labels are from, by chip, where it is said.
        sha256: Of each chip's file, by its name; None of a set made before its index named them.
    """

    bands: tuple[str, ...]
    radiometry: Radiometry
    resolution: float
    size: int
    facts: ImageFacts
    inventories: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Chips:
    """A data set of chips, restricted to some of their bands.

    Attributes:
        files: Their folder.
        names: Of the chips, sorted.
        index: What all chips have in common.
        bands: The bands to give, each one of the index's.
    """

    files: Files
    names: tuple[str, ...]
    index: ChipIndex
    bands: tuple[str, ...]

    @property
    def radiometry(self) -> Radiometry:
        """Of all chips."""
        return self.index.radiometry

    @property
    def facts(self) -> ImageFacts:
        """Of all chips; of an elevation model only where a chosen band is from it."""
        facts = self.index.facts
        return facts if set(self.bands) & set(TERRAIN_BANDS) else replace(facts, dem=None)

    def place(self, name: str) -> str:
        """The block of the lattice: its chips of several windows differ in ``-tN-`` alone."""
        return re.sub(r"-t\d+-", "-", name)

    def read(self, name: str) -> Sample:
        """Open one chip, with the chosen bands."""
        path = f"{name}.npz"
        where, content, size = self.files.where(path), self.files.read(path), self.index.size
        self._check_same(name, content, where)
        image = _array(content, "image", (len(self.index.bands), size, size), np.float32, where)
        label = _array(content, "label", (size, size), np.uint8, where)
        _check_values(image, label, where)
        chosen = [self.index.bands.index(band) for band in self.bands]
        return Sample(
            image=image[chosen],
            label=label,
            pixel_m2=self.index.resolution**2,
            inventory=self.index.inventories.get(name),
        )

    def _check_same(self, name: str, content: bytes, where: str) -> None:
        known = self.index.sha256
        if known is not None and (found := hashlib.sha256(content).hexdigest()) != known.get(name):
            raise InvalidDatasetError(
                f"SHA-256 {found}", expected=f"{known.get(name)}, as {INDEX} has it", cure=_COPY, file=where
            )


def _array(content: bytes, key: str, shape: tuple[int, ...], kind: type, where: str) -> np.ndarray:
    """One array of an npz whose header says what is expected; nothing is allocated before that, nothing unpickled."""
    expected = f"{key} {np.dtype(kind)} {shape}"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(f"{key}.npy") as member:
            with _HEADER_LOCK:
                found_shape, fortran, found_kind = _HEADERS[np.lib.format.read_magic(member)](member)
            if found_shape != shape or found_kind != kind:
                raise InvalidDatasetError(f"{key} {found_kind} {found_shape}", expected=expected, file=where)
            wanted = math.prod(shape) * np.dtype(kind).itemsize
            # To one byte beyond: reading past the end is what makes zipfile compare the checksum.
            values = bytearray(member.read(wanted + 1))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidDatasetError(f"{key} cannot be read ({error})", expected=expected, file=where) from error
    if len(values) != wanted:
        raise InvalidDatasetError(f"{key} of other than {wanted} bytes", expected=expected, file=where)
    return np.frombuffer(values, kind).reshape(shape, order="F" if fortran else "C")


def _check_values(image: np.ndarray, label: np.ndarray, where: str) -> None:
    if np.isinf(image).any():
        raise InvalidDatasetError("infinite values in image", expected="numbers, or NaN for no data", file=where)
    unknown = sorted(set(np.unique(label).tolist()) - set(LABELS))
    if unknown:
        raise InvalidDatasetError(f"label values {unknown}", expected=f"only {list(LABELS)}", file=where)


def open_chips(files: Files, *, bands: tuple[str, ...] | None = None) -> Chips:
    """Open a folder of chips.

    Args:
        files: The folder.
        bands: The bands to give, in this order; None gives all in their own order.

    Raises:
        InvalidDatasetError: No index or a wrong one, no chips, others than the index names, or a band they do not have.
    """
    index = read_index(files)
    missing = [band for band in bands or () if band not in index.bands]
    if missing:
        raise InvalidDatasetError(
            f"no band {', '.join(missing)} among {', '.join(index.bands)}",
            expected="every band of the model",
            cure="Make the chips anew with these bands, or train on the ones there are.",
            file=files.where(INDEX),
        )
    names = tuple(name.removesuffix(".npz") for name in files.names("") if name.endswith(".npz"))
    need_names(names, expected="NAME.npz beside chips.json", file=files.where(""))
    if index.sha256 is not None:
        _check_all(names, index.sha256, files.where(""))
    return Chips(files=files, names=tuple(sorted(names)), index=index, bands=bands or index.bands)


def _check_all(names: Iterable[str], known: Mapping[str, str], where: str) -> None:
    """Make sure that the chips of a folder are those that its index names."""
    there = set(names)
    if lacking := sorted(known.keys() - there):
        raise InvalidDatasetError(
            f"{len(lacking)} of {len(known)} chips are not there ({_listed(lacking)})",
            expected=f"every chip that {INDEX} names",
            cure=_COPY,
            file=where,
        )
    if others := sorted(there - known.keys()):
        raise InvalidDatasetError(
            f"{len(others)} files that {INDEX} does not name ({_listed(others)})",
            expected=f"its {len(known)} chips alone",
            cure="Take the others out of the folder: which set they are of is not known.",
            file=where,
        )


def _listed(names: list[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*(f"{name}.npz" for name in names[:_NAMED]), *more])


def read_index(files: Files) -> ChipIndex:
    """Read and check ``chips.json``.

    Raises:
        InvalidDatasetError: It is missing, no JSON, of another version, or a key has a wrong value.
    """
    where = files.where(INDEX)
    try:
        content = files.read(INDEX)
    except InvalidDatasetError as error:
        raise InvalidDatasetError(
            error.found,
            expected="the index of a whole set of chips",
            cure="Look whether the path is right; chips that failed, or were not made yet, are made by "
            "`landslide-scale chips --config FILE --resume`.",
            file=where,
        ) from error
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidDatasetError(
            f"no JSON ({error})", expected="the index of a folder of chips", file=where
        ) from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        version = found.get("version") if isinstance(found, dict) else type(found).__name__
        raise InvalidDatasetError(f"version {version}", expected=f"{VERSION}", file=where)
    wrong = [key for key, right in _RULES.items() if not right(found.get(key))]
    wrong += [key for key, right in _LATER.items() if key in found and not right(found[key])]
    if wrong:
        said = f"{found.get(wrong[0])!r:.200}"
        raise InvalidDatasetError(f"{wrong[0]} {said}", expected=f"{_EXPECTED[wrong[0]]}", file=where)
    if len(found["bands"]) * found["size"] ** 2 > _MOST_VALUES:
        raise InvalidDatasetError(
            f"chips of {len(found['bands'])} bands of {found['size']} x {found['size']} pixels",
            expected=f"at most {_MOST_VALUES:,} values",
            file=where,
        )
    return ChipIndex(
        bands=tuple(found["bands"]),
        radiometry=found["radiometry"],
        resolution=float(found["resolution"]),
        size=found["size"],
        facts=_facts(found),
        inventories=found.get("inventories", {}),
        sha256=found.get("chips"),
    )


def _facts(found: dict[str, Any]) -> ImageFacts:
    """What an index says of how pixels were made; chips made before it was kept say their resolution alone."""
    composite, dem = found.get("composite", {}), found.get("dem_source", {})
    return ImageFacts(
        resolution=float(found["resolution"]),
        method=composite.get("method"),
        clear=tuple(composite["clear"]) if "clear" in composite else None,
        dilate_m=float(composite["dilate_m"]) if "dilate_m" in composite else None,
        mask=tuple(composite["mask"]) if "mask" in composite else None,
        dem=dem.get("collection"),
        fair_share=found.get("fair_share"),
    )


def _is_bands(value: object) -> bool:
    named = isinstance(value, list) and bool(value) and all(isinstance(band, str) for band in value)
    return named and isinstance(value, list) and len(set(value)) == len(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_composite(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    clear, rules = value.get("clear", []), value.get("mask", [])
    named = isinstance(value.get("method", ""), str) and _is_number(value.get("dilate_m", 0))
    told = isinstance(rules, list) and all(isinstance(line, str) for line in rules)
    return named and told and isinstance(clear, list) and all(type(one) is int for one in clear)


def _is_source(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key, ""), str) for key in ("profile", "collection"))


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


_EXPECTED = {
    "bands": "a list of band names, each once",
    "radiometry": f"one of {', '.join(get_args(Radiometry))}",
    "resolution": "metres per pixel, more than 0",
    "size": f"pixels per side, 1 to {LARGEST_SIDE}",
    "composite": "method, clear classes and dilate_m, as in a configuration, and lines of its mask",
    "dem_source": "profile and collection, by name",
    "fair_share": "true or false",
    "inventories": "the name of one for each chip",
    "chips": "the SHA-256 of each, in hexadecimal",
}
_RULES: dict[str, Callable[[Any], bool]] = {
    "bands": _is_bands,
    "radiometry": lambda value: value in get_args(Radiometry),
    "resolution": lambda value: _is_number(value) and value > 0,
    "size": lambda value: type(value) is int and 0 < value <= LARGEST_SIDE,
}
_LATER: dict[str, Callable[[Any], bool]] = {
    "composite": _is_composite,
    "dem_source": _is_source,
    "fair_share": lambda value: isinstance(value, bool),
    "inventories": lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
    "chips": lambda value: isinstance(value, dict) and all(map(_is_sha256, value.values())),
}
"""Of keys that older chips lack."""
