"""Every image opened once, for all that has to be known of them together before they are parted."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.datasets import inspect
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.parting.contested import Contested, contested
from landslide_scale.parting.overlaps import Overlap, Runs, overlapping, runs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from landslide_scale.datasets import Dataset, Found, Sample

_DIGITS = 16
_LATTICE = re.compile(r"(.+)-t\d+-r(-?\d+)-c(-?\d+)")


@dataclass(frozen=True, kw_only=True, order=True)
class Block:
    """Where a chip lies.

    Attributes:
        lattice: Name of the lattice.
        row, col: Of the block; rows go south.
    """

    lattice: str
    row: int
    col: int


def block_of(name: str) -> Block | None:
    """Where the chip of a name lies; None of an image that is no chip of a lattice."""
    match = _LATTICE.fullmatch(name)
    return None if match is None else Block(lattice=match[1], row=int(match[2]), col=int(match[3]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rim:
    """Pixels along the four sides of a chip, in this order: top, bottom, left, right.

    Attributes:
        landslide: Bool (4, N), labelled landslide.
        unseen: Bool (4, N), of which nothing is known.
        shows: Whether the chip shows a landslide anywhere.
    """

    landslide: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    shows: bool

    @classmethod
    def of(cls, label: NDArray[np.uint8]) -> Rim:
        """Of a square label (N, N)."""
        sides = np.stack((label[0], label[-1], label[:, 0], label[:, -1]))
        return cls(landslide=sides == LANDSLIDE, unseen=sides == IGNORE, shows=bool((label == LANDSLIDE).any()))

    def __or__(self, other: Rim) -> Rim:
        """The same ground of two dates."""
        return Rim(
            landslide=self.landslide | other.landslide,
            unseen=self.unseen & other.unseen,
            shows=self.shows or other.shows,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """What is known of all images of a data set.

    Attributes:
        found: Of each what opening it showed.
        contents: Of each the hash of its pixels as they are stored.
        overlaps: Images that share pixels; chips of one lattice share none.
        contested: Pixels on which labels of images that share them contradict each other.
        rims: Of the chips of a lattice, by block: what all dates show along their sides.
    """

    found: Mapping[str, Found]
    contents: Mapping[str, str]
    overlaps: tuple[Overlap, ...] = ()
    contested: Contested = field(default_factory=Contested)
    rims: Mapping[Block, Rim]


def look(dataset: Dataset, *, threads: int = 4) -> Looked:
    """Open every image and mask once; those that seem to share pixels twice.

    Args:
        dataset: The images.
        threads: That read them.

    Raises:
        InvalidDatasetError: Naming the first file, in order of names, that cannot be used.
    """
    contents: dict[str, str] = {}
    runs: dict[str, Runs] = {}
    labels: dict[str, Rim] = {}
    landslides: dict[str, int] = {}

    def each(name: str, sample: Sample) -> None:
        landslides[name] = int((sample.as_stored.truth == LANDSLIDE).sum())
        contents[name] = content_of(sample.as_stored.image)
        if block_of(name) is None:
            runs[name] = runs_of(sample.as_stored.image)
        else:
            labels[name] = Rim.of(sample.truth)

    found = inspect(dataset, threads=threads, each=each)
    rims: dict[Block, Rim] = {}
    for name, rim in labels.items():
        place = block_of(name)
        if place is not None:
            rims[place] = rims[place] | rim if place in rims else rim
    overlaps = overlapping(runs, lambda name: dataset.read(name).as_stored.image)
    return Looked(
        found=found,
        contents=contents,
        overlaps=overlaps,
        contested=contested(dataset, overlaps, sum(landslides.values())),
        rims=rims,
    )


def content_of(image: NDArray[np.float32]) -> str:
    """The first 64 bits of the SHA-256 of an image's shape and pixels (C, H, W), whatever its file's name and form."""
    shape = " ".join(map(str, image.shape))
    return hashlib.sha256(f"{shape}\0".encode() + np.ascontiguousarray(image, "<f4").tobytes()).hexdigest()[:_DIGITS]
