"""Patches that lie so close together that a split of them by chance is no split: neighbours share scars and scenes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import shapely

from landslide_scale.errors import InvalidDatasetError
from landslide_scale.importing.patch import NAME

NEAR_M = 1900.0
"""Between centres: patches of 1 280 m that touch, by a corner at least (1 810 m)."""

LEARNT, SCORED = ("train", "val"), "test"
"""Parts of a published split."""

_ID = re.compile(r"([A-Za-z0-9_-]+?)(?:_s2)?_(\d+)(?:\.nc)?")
"""A patch in the authors' lists, which leave the sensor out."""

Corner = tuple[str, float, float]
"""Of a patch: reference system, left and top, metres."""


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """How far a published split leaks, as far as its patches are here.

    Attributes:
        scored: Test patches that are here.
        near: Names of those that lie within :data:`NEAR_M` of a patch that is learnt from or chosen by.
        absent: Patches of the split, of all its parts, that are not here.
    """

    scored: int
    near: tuple[str, ...]
    absent: int


def near(names: Collection[str], others: Collection[str], corners: Mapping[str, Corner]) -> tuple[str, ...]:
    """Those of `names` that lie within :data:`NEAR_M` of one of `others` other than themselves, sorted.

    Patches of different reference systems are not compared: a published inventory lies in one.

    Args:
        names: Of patches.
        others: Likewise.
        corners: Of all of them.
    """
    found: list[str] = []
    for crs in {corners[name][0] for name in names}:
        here, there = (sorted(one for one in some if corners[one][0] == crs) for some in (names, others))
        tree = shapely.STRtree(shapely.points([corners[one][1:] for one in there]) if there else [])
        points = shapely.points([corners[one][1:] for one in here])
        rows, cols = tree.query(points, predicate="dwithin", distance=NEAR_M) if there else np.empty((2, 0), int)
        found += {here[row] for row, col in zip(rows.tolist(), cols.tolist(), strict=True) if here[row] != there[col]}
    return tuple(sorted(found))


def leaks(split: Mapping[str, frozenset[str]], corners: Mapping[str, Corner]) -> Leaks:
    """How far a published split leaks.

    Args:
        split: Names of its patches, by part.
        corners: Of the patches that are here.
    """
    here = {part: sorted(names & corners.keys()) for part, names in split.items()}
    learnt = [name for part in LEARNT for name in here.get(part, ())]
    return Leaks(
        scored=len(here.get(SCORED, ())),
        near=near(here.get(SCORED, ()), learnt, corners),
        absent=sum(len(names) for names in split.values()) - sum(map(len, here.values())),
    )


def read_split(path: str) -> Mapping[str, frozenset[str]]:
    """Names of the patches of each part of a published ``splits.json``.

    Raises:
        InvalidDatasetError: It is no such file.
    """
    expected = f'a split as published: {{"{LEARNT[0]}": [{{"s2": "s2/REGION_s2_N.nc", ...}}], "{SCORED}": [...]}}'
    try:
        content = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidDatasetError(f"cannot be read ({error})", expected=expected, file=path) from None
    try:
        parts = {str(part): frozenset(PurePosixPath(row["s2"]).stem for row in rows) for part, rows in content.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidDatasetError(
            f"other JSON ({type(error).__name__}: {error})", expected=expected, file=path
        ) from None
    odd = sorted(name for names in parts.values() for name in names if not NAME.fullmatch(name))
    if odd or not {LEARNT[0], SCORED} <= parts.keys():
        raise InvalidDatasetError(odd[0] if odd else f"parts {sorted(parts)}", expected=expected, file=path)
    return parts


def read_names(path: str) -> frozenset[str]:
    """Names of the patches on a list of ids, one a line, as ``italy_6982``.

    Raises:
        InvalidDatasetError: It cannot be read, or has other lines.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise InvalidDatasetError(f"cannot be read ({error})", expected="ids, one a line", file=path) from None
    odd = [line for line in lines if not _ID.fullmatch(line)]
    if odd or not lines:
        raise InvalidDatasetError(odd[0] if odd else "nothing", expected="ids as italy_6982, one a line", file=path)
    return frozenset(_ID.sub(r"\1_s2_\2", line) for line in lines)
