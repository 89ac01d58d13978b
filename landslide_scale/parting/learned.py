"""Which of some images a network has seen before: by their pixels, whatever they are called, and by their ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from landslide_scale.parting.looking import block_of
from landslide_scale.spec import ImageParts

if TYPE_CHECKING:
    from landslide_scale.parting.looking import Looked
    from landslide_scale.parting.split import Split

Standing = Literal["learnt from", "chosen by", "held out", "same ground", "not seen"]
"""What an image is to a network; ``same ground`` is another image of ground that was learnt from or chosen by."""

STANDINGS: tuple[Standing, ...] = ("learnt from", "chosen by", "held out", "same ground", "not seen")


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
        """What ``str`` gave."""
        lattice, south, east, side = text.rsplit(" ", 3)
        return cls(lattice=lattice, south=float(south), east=float(east), side=float(side))


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
    """
    known: dict[str, Standing] = dict.fromkeys(parts.holdout, "held out")
    known |= dict.fromkeys(parts.validation, "chosen by")
    known |= dict.fromkeys(parts.train, "learnt from")
    found: dict[str, Standing] = {name: known.get(content, "not seen") for name, content in looked.contents.items()}
    seen = {groups[name] for name, standing in found.items() if standing in {"learnt from", "chosen by"}}
    seen |= {groups[name] for name in _on_ground(parts, looked)}
    return {
        name: "same ground" if standing == "not seen" and groups[name] in seen else standing
        for name, standing in found.items()
    }


def named(parts: Mapping[str, list[str]], looked: Looked, groups: Mapping[str, str]) -> dict[str, Standing]:
    """The same by names alone, as a training's folder keeps them beside a checkpoint that says nothing."""
    known: dict[str, Standing] = dict.fromkeys(parts["holdout"], "held out")
    known |= dict.fromkeys(parts["validation"], "chosen by")
    known |= dict.fromkeys(parts["train"], "learnt from")
    seen = {groups[name] for name in looked.found if known.get(name) in {"learnt from", "chosen by"}}
    return {name: known.get(name, "same ground" if groups[name] in seen else "not seen") for name in looked.found}


def _on_ground(parts: ImageParts, looked: Looked) -> list[str]:
    """Chips that overlap one that was learnt from or chosen by, whatever their size."""
    squares = {lattice: list(group) for lattice, group in groupby(map(_Square.read, parts.ground), lambda s: s.lattice)}
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
