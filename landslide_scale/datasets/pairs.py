"""Plain folders: ``image/NAME.png`` with ``mask/NAME.png``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_scale.datasets.images import ImagePairs, match_pairs
from landslide_scale.datasets.sample import need_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.datasets.files import Files


def open_pairs(
    files: Files, *, meaning: Mapping[int, int], resolution: float | None = None, resize: int | None = None
) -> ImagePairs:
    """Open two folders of the same names.

    Args:
        files: The folder that holds ``image`` and ``mask``.
        meaning: From every mask value that may occur to 0 background, 1 landslide or 255 ignored. Look before you map:
            255 is landslide in one published set and padding in another.
        resolution: Metres per pixel as stored, where known.
        resize: Side all images are resized to.

    Raises:
        InvalidDatasetError: A folder, image or mask is missing.
    """
    pairs = match_pairs(files, images="image", masks="mask")
    need_names(tuple(pairs), expected="images in the folder image", file=files.where("image"))
    return ImagePairs(files=files, pairs=pairs, meaning=meaning, resolution=resolution, resize=resize)
