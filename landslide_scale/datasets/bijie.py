"""The Bijie landslide data set (Ji et al. 2020): 770 landslide images of 0.8 m with masks, 2003 without landslides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_scale.datasets.images import IMAGE_SUFFIXES, RGB, ImagePairs, Pair, list_images, match_pairs
from landslide_scale.datasets.sample import need_names

if TYPE_CHECKING:
    from landslide_scale.datasets.files import Files

_MEANING = {0: 0, 255: 1}
_METRES = 0.8


def open_bijie(
    files: Files, *, bands: tuple[str, ...] = RGB, non_landslide: bool = False, resize: int | None = None
) -> ImagePairs:
    """Open the data set as published: ``landslide/image``, ``landslide/mask``, ``non-landslide/image``.

    Args:
        files: Its folder.
        bands: Of red, green and blue, in the order wanted.
        non_landslide: Take the non-landslide images too, as all background. The published scores are from landslide
            images only.
        resize: Side all images are resized to; they come as 61 to 1239 px.

    Raises:
        InvalidDatasetError: A folder, image or mask is missing, or there is no such band.
    """
    pairs = match_pairs(files, images="landslide/image", masks="landslide/mask", prefix="landslide/")
    if non_landslide:
        folder = "non-landslide/image"
        found = list_images(files, folder, IMAGE_SUFFIXES)
        need_names(tuple(found), expected=f"images in {folder}", file=files.where(folder))
        pairs |= {f"non-landslide/{name}": Pair(image=path, mask=None) for name, path in found.items()}
    need_names(tuple(pairs), expected="PNG images in landslide/image", file=files.where("landslide/image"))
    return ImagePairs(
        files=files,
        pairs=pairs,
        meaning=_MEANING,
        bands=bands,
        resolution=_METRES,
        resize=resize,
        fair_share=False,  # each was cut around a landslide, or where there is none
    )
