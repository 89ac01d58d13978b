"""Which images show one ground, or ground that cannot be told apart: they go into one part, and count as one place."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.datasets import files_at
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.parting.looking import Block, Rim, block_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from numpy.typing import NDArray

    from landslide_scale.datasets import Dataset, Files
    from landslide_scale.datasets.spec import DataSpec
    from landslide_scale.parting.looking import Looked

GROUPS = "groups.csv"
_NAME = "name"

_TOP, _BOTTOM, _LEFT, _RIGHT = range(4)
_NEIGHBOURS = (((0, 1), _RIGHT, _LEFT), ((1, 0), _BOTTOM, _TOP))
"""Of a block those to the east and to the south, and the sides by which both meet."""
_CORNERS = (((1, 1), (_BOTTOM, -1), (_TOP, 0)), ((1, -1), (_BOTTOM, 0), (_TOP, -1)))


class _Together:
    """Things that are one, by whatever joins them (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def first(self, thing: Hashable) -> Hashable:
        while (above := self._above.get(thing, thing)) != thing:
            self._above[thing] = self._above.get(above, above)
            thing = above
        return thing

    def join(self, one: Hashable, other: Hashable) -> None:
        self._above[self.first(one)] = self.first(other)


def grouped(dataset: Dataset, looked: Looked, data: DataSpec, *, files: Files | None = None) -> dict[str, str]:
    """The ground of each image, by the first name of all that show it.

    One ground are all windows of a place, and images that share pixels. Besides, what the data set says: chips in one
    square of ``block_m`` metres, or images of one named group; where it says nothing, two chips with a landslide that
    lies in both.

    Args:
        dataset: The images.
        looked: What is known of them.
        data: With ``groups`` ``images`` nothing is joined but the windows of a place.
        files: Where ``groups.csv`` is; by default what is at `data.path`.

    Raises:
        InvalidDatasetError: A name that no group is said of, or a block in metres of images that lie on no lattice.
    """
    together = _Together()
    for name in dataset.names:
        together.join(name, ("place", dataset.place(name)))
    if data.groups != "images":
        for overlap in looked.overlaps:
            together.join(overlap.first, overlap.second)
        for one, other in one_landslide(looked.rims) if data.own_groups is None else ():
            together.join(one, other)
        for name in dataset.names:
            if (place := block_of(name)) is not None:
                together.join(name, place)
            for key in _said(name, data, looked):
                together.join(name, key)
        if data.group_column is not None:
            for name, group in _column(dataset, data.group_column, files or files_at(data.path)).items():
                together.join(name, ("column", group))
    first: dict[Hashable, str] = {}
    return {name: first.setdefault(together.first(name), name) for name in sorted(dataset.names)}


def divided_landslides(looked: Looked, parts: Mapping[str, str]) -> int:
    """How many pairs of neighbours with a landslide that lies in both are in different parts.

    Args:
        looked: The images.
        parts: The part of each.
    """
    of_block: dict[Block, set[str]] = {}
    for name, part in parts.items():
        if (block := block_of(name)) is not None:
            of_block.setdefault(block, set()).add(part)
    return sum(len(of_block[one] | of_block[other]) > 1 for one, other in one_landslide(looked.rims))


def _said(name: str, data: DataSpec, looked: Looked) -> Iterator[Hashable]:
    """What the settings say that an image belongs to."""
    if data.block_m is not None:
        place, metres = block_of(name), looked.found[name].pixel_m2
        if place is None or metres is None:
            raise InvalidDatasetError(
                f"dataset.block_m, and {name} on no lattice",
                expected="chips that `landslide-scale chips` made",
                cure="Leave dataset.block_m out, or name groups by dataset.group_column or dataset.group_pattern.",
            )
        side = looked.found[name].width * metres**0.5
        yield ("square", place.lattice, place.row * side // data.block_m, place.col * side // data.block_m)
    if data.group_pattern is not None:
        match = re.search(data.group_pattern, name)
        if match is None:
            raise InvalidDatasetError(
                f"{name}, in which dataset.group_pattern {data.group_pattern!r} is not found",
                expected="it in the name of every image",
            )
        yield ("pattern", match[1] if match.re.groups else match[0])


def _column(dataset: Dataset, column: str, files: Files) -> dict[str, str]:
    """Of each image the value of a column of ``groups.csv``."""
    where = files.where(GROUPS)
    try:
        rows = list(csv.DictReader(io.StringIO(files.read(GROUPS).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDatasetError(f"no table ({error})", expected="CSV in UTF-8", file=where) from error
    lacking = {_NAME, column} - set(rows[0] if rows else ())
    if lacking:
        raise InvalidDatasetError(
            f"no column {', '.join(sorted(lacking))}",
            expected=f"{_NAME}, the images' names, and {column}, as dataset.group_column says",
            file=where,
        )
    groups = {row[_NAME]: row[column] for row in rows}
    unsaid = [name for name in dataset.names if not groups.get(name)]
    if unsaid:
        raise InvalidDatasetError(
            f"nothing in {column} for {len(unsaid)} of {len(dataset.names)} images ({unsaid[0]}, ...)",
            expected="a group for every image",
            file=where,
        )
    return {name: groups[name] for name in dataset.names}


def one_landslide(rims: Mapping[Block, Rim]) -> Iterator[tuple[Block, Block]]:
    """Neighbours on a lattice with a landslide that lies in both: its pixels touch across their sides or corners.

    Where one side is not observed it is taken to go on, if that chip shows a landslide at all.
    """
    for block, rim in rims.items():
        for (south, east), own, others in _NEIGHBOURS:
            there = Block(lattice=block.lattice, row=block.row + south, col=block.col + east)
            if there in rims and _meet(rim, own, rims[there], others):
                yield block, there
        for (south, east), own_corner, others_corner in _CORNERS:
            there = Block(lattice=block.lattice, row=block.row + south, col=block.col + east)
            if there in rims and rim.landslide[own_corner] and rims[there].landslide[others_corner]:
                yield block, there


def _meet(rim: Rim, own: int, other: Rim, others: int) -> bool:
    here, there = rim.landslide[own], other.landslide[others]
    may_be_here = here | (rim.unseen[own] & rim.shows)
    may_be_there = there | (other.unseen[others] & other.shows)
    return bool((_beside(here) & may_be_there).any() or (_beside(there) & may_be_here).any())


def _beside(side: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What touches the marked pixels of a side from the next row, corners too."""
    padded = np.pad(side, 1)
    return padded[:-2] | padded[1:-1] | padded[2:]
