"""In place of a checkpoint that is refused: the name of one that is listed and would be taken."""

from __future__ import annotations

from typing import TypeVar

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS, scene_bands
from landslide_scale.errors import LandslideScaleError
from landslide_scale.provenance import ImageFacts, same_resolution
from landslide_scale.registry.entries import listed
from landslide_scale.registry.settings import Entry

E = TypeVar("E", bound=LandslideScaleError)


def with_instead(error: E, shown: ImageFacts) -> E:
    """A refusal of a checkpoint, with the name of one that is listed and would be taken, where there is one.

    Args:
        error: The refusal.
        shown: What the images are that the checkpoint was to be shown.
    """
    try:
        names = [one.entry.name for one in listed() if _would_fit(one.entry, shown)]
    except LandslideScaleError as unlisted:
        said = f"The registry of checkpoints cannot be asked for another: {unlisted.found}."
    else:
        said = f"A checkpoint that would fit is listed: model.checkpoint: {names[0]}." if names else ""
    cure = " ".join(part for part in (error.cure, said) if part)
    return type(error)(error.found, expected=error.expected, cure=cure, **error.where)


def _would_fit(entry: Entry, shown: ImageFacts) -> bool:
    trained, metres = entry.trained_on.resolution, shown.resolution
    return (
        entry.radiometry == "boa"
        and {*entry.bands} <= {*BAND_NAMES, *TERRAIN_BANDS}
        and (scene_bands(entry.bands) != entry.bands) == (shown.dem is not None)
        and trained is not None
        and metres is not None
        and same_resolution(trained, metres)
    )
