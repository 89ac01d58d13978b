"""Which of some images a network has seen before: by their pixels, whatever they are called, and by their ground."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.parting.looking import block_of
from landslide_scale.provenance import ImageParts

if TYPE_CHECKING:
    from landslide_scale.parting.looking import Looked
    from landslide_scale.parting.split import Split

Standing = Literal["learnt from", "chosen by", "held out", "same ground", "not seen"]
"""What an image is to a network; ``same ground`` is another image of ground that was learnt from or chosen by."""

STANDINGS: tuple[Standing, ...] = get_args(Standing)

_OF_PART: Mapping[str, Standing] = {"holdout": "held out", "validation": "chosen by", "train": "learnt from"}
"""What the images of a part are; the last counts, where one is in several."""


def parts_of(split: Split, looked: Looked) -> ImageParts:
    """What a checkpoint says of the images that its training was given."""
    hashes = {part: tuple(sorted(looked.contents[name] for name in names)) for part, names in vars(split).items()}
    squares = [square for name in (*split.train, *split.validation) if (square := _square(name, looked)) is not None]
    return ImageParts(**hashes, ground=tuple(dict.fromkeys(map(str, sorted(squares)))))


@dataclass(frozen=True, kw_only=True, order=True)
class _Square:
    """Where a chip lies: metres from its lattice's origin, to the south and to the east."""

    lattice: str
    south: float
    east: float
    side: float

    def __str__(self) -> str:
        return f"{self.lattice} {self.south:.12g} {self.east:.12g} {self.side:.12g}"

    @classmethod
    def read(cls, text: str) -> _Square:
        """What ``str`` gave.

        Raises:
            InvalidCheckpointError: It is something else.
        """
        lattice, *numbers = text.rsplit(" ", 3)
        with suppress(ValueError):
            south, east, side = map(float, numbers)
            if math.isfinite(south) and math.isfinite(east) and 0 < side < math.inf:
                return cls(lattice=lattice, south=south, east=east, side=side)
        raise InvalidCheckpointError(
            f"ground {text[:80]!r}",
            expected="a lattice, and in metres south, east and side of a chip",
            cure="Use a checkpoint as its training wrote it.",
            key="card.parts.ground",
        )


def _square(name: str, looked: Looked) -> _Square | None:
    block, found = block_of(name), looked.found[name]
    if block is None or found.pixel_m2 is None:
        return None
    side = found.width * found.pixel_m2**0.5
    return _Square(lattice=block.lattice, south=block.row * side, east=block.col * side, side=side)


def standings(parts: ImageParts, looked: Looked, groups: Mapping[str, str]) -> dict[str, Standing]:
    """What each image is to a network.

    Args:
        parts: As its card says.
        looked: The images.
        groups: The ground of each.

    Raises:
        InvalidCheckpointError: The card says of ground what no training wrote.
    """
    known = _known(vars(parts))
    found = {name: known.get(content, "not seen") for name, content in looked.contents.items()}
    return _by_ground(found, groups, _on_ground(parts, looked))


def named(parts: Mapping[str, list[str]], looked: Looked, groups: Mapping[str, str]) -> dict[str, Standing]:
    """The same by names alone, as a training's folder keeps them beside a checkpoint that says nothing.

    Args:
        parts: Names, by part.
        looked: The images.
        groups: The ground of each.
    """
    known = _known(parts)
    return _by_ground({name: known.get(name, "not seen") for name in looked.found}, groups, ())


def _known(parts: Mapping[str, Iterable[str]]) -> dict[str, Standing]:
    return {one: standing for part, standing in _OF_PART.items() for one in parts[part]}


def _by_ground(found: Mapping[str, Standing], groups: Mapping[str, str], learnt: Iterable[str]) -> dict[str, Standing]:
    """What images are, once those on ground that others, or those named, were learnt from are told apart."""
    seen = {groups[name] for name, standing in found.items() if standing in {"learnt from", "chosen by"}}
    seen |= {groups[name] for name in learnt}
    return {
        name: "same ground" if standing == "not seen" and groups[name] in seen else standing
        for name, standing in found.items()
    }


def _on_ground(parts: ImageParts, looked: Looked) -> list[str]:
    """Chips that overlap one that was learnt from or chosen by, whatever their size."""
    squares: dict[str, list[_Square]] = {}
    for square in map(_Square.read, parts.ground):
        squares.setdefault(square.lattice, []).append(square)
    corners = {
        lattice: np.array([(one.south, one.east, one.side) for one in group]).T for lattice, group in squares.items()
    }
    found = []
    for name in looked.found:
        own = _square(name, looked)
        if own is None or own.lattice not in corners:
            continue
        south, east, side = corners[own.lattice]
        apart_south = (south >= own.south + own.side) | (own.south >= south + side)
        apart_east = (east >= own.east + own.side) | (own.east >= east + side)
        if not (apart_south | apart_east).all():
            found.append(name)
    return found
