"""Plain folders: ``image/NAME.png`` or ``image/NAME.tif`` with ``mask/NAME.png`` or ``mask/NAME.tif``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_scale.datasets.images import RGB, Channels, ImagePairs, match_pairs
from landslide_scale.datasets.sample import need_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.datasets.files import Files


def open_pairs(
    files: Files,
    *,
    meaning: Mapping[int, int],
    bands: tuple[str, ...] = RGB,
    channels: Channels | None = None,
    resolution: float | None = None,
    resize: int | None = None,
) -> ImagePairs:
    """Open two folders of the same names.

    Args:
        files: The folder that holds ``image`` and ``mask``.
        meaning: From every mask value that may occur to 0 background, 1 landslide or 255 ignored. Look before you map:
            255 is landslide in one published set and padding in another.
        bands: The bands to give, in this order.
        channels: What the images hold; None for 8-bit red, green and blue.
        resolution: Metres per pixel as stored, where known.
        resize: Side all images are resized to.

    Raises:
        InvalidDatasetError: A folder, image or mask is missing, or a band is none of the channels.
    """
    pairs = match_pairs(files, images="image", masks="mask")
    need_names(tuple(pairs), expected="images in the folder image", file=files.where("image"))
    return ImagePairs(
        files=files,
        pairs=pairs,
        meaning=meaning,
        bands=bands,
        channels=channels,
        resolution=resolution,
        resize=resize,
    )
