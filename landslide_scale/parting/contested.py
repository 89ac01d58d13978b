"""Pixels that are landslide in one image and background in another of the same ground: one of the two labels is wrong.

Where a picture is cut out around each of its landslides and only that one is drawn, a network that finds them all is
punished for it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from landslide_scale.datasets.elsewhere import Elsewhere, shared
from landslide_scale.datasets.images import ImagePairs
from landslide_scale.label_values import IGNORE, LANDSLIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from landslide_scale.datasets import Dataset
    from landslide_scale.parting.overlaps import Overlap


@dataclass(frozen=True, kw_only=True)
class Contested:
    """How much of a data set its own labels contradict each other on.

    Attributes:
        pixels: Landslide in one image and background in another, summed over pairs of images, as they are stored.
        landslide: All pixels that are landslide, of all images.
        pairs: Of images that share pixels.
    """

    pixels: int = 0
    landslide: int = 0
    pairs: int = 0

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"the labels contradict each other: {self.pixels:,} px, {self.pixels / max(self.landslide, 1):.1%} of the "
            f"set's landslide pixels, are landslide in one image and background in another that shows the same pixels "
            f"({self.pairs} pairs of images overlap)"
        )


def contested(dataset: Dataset, overlaps: Iterable[Overlap], landslide: int) -> Contested:
    """What of a data set is contested.

    Args:
        dataset: Its images.
        overlaps: Those of them that share pixels.
        landslide: Landslide pixels of all images as they are stored.
    """
    overlaps = tuple(overlaps)
    pixels = 0
    for overlap in overlaps:
        first, second = (dataset.read(name).as_stored.truth for name in (overlap.first, overlap.second))
        there, here = shared(first.shape, second.shape, overlap.rows, overlap.cols)
        one, other = first[there], second[here]
        counted = (one != IGNORE) & (other != IGNORE)
        pixels += int((counted & ((one == LANDSLIDE) != (other == LANDSLIDE))).sum())
    return Contested(pixels=pixels, landslide=landslide, pairs=len(overlaps))


def without_contested(dataset: Dataset, overlaps: Iterable[Overlap]) -> Dataset:
    """The data set with pixels ignored that are background in an image and landslide in another of the same ground.

    Only pictures with masks overlap so; any other data set is given back as it is.
    """
    if not isinstance(dataset, ImagePairs):
        return dataset
    others: dict[str, list[Elsewhere]] = defaultdict(list)
    for overlap in overlaps:
        others[overlap.second].append(Elsewhere(name=overlap.first, rows=overlap.rows, cols=overlap.cols))
        others[overlap.first].append(Elsewhere(name=overlap.second, rows=-overlap.rows, cols=-overlap.cols))
    return replace(dataset, elsewhere={name: tuple(places) for name, places in others.items()})
