"""Asking of scenes whether their assets can be opened at all, once one of them could not be read.

What fails a unit names one scene; whether the others are better is found out here, by opening each asset without
reading a pixel. So a catalogue of which much is gone is known at once, and not by one scene at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from landslide_scale.errors import PermanentReadError, ReadError, TryAgainError
from landslide_scale.reading.attempts import naming
from landslide_scale.reading.geotiff import opened, reading
from landslide_scale.scene import Access, Scene

AT_ONCE = 8


def is_the_scenes_own(error: ReadError) -> bool:
    """Whether a failed read tells of an asset of a scene that it will fail again, and not of its signer."""
    return isinstance(error, PermanentReadError) and "scene" in error.where and "signer" not in error.where


def unopenable(scenes: Sequence[Scene], bands: Sequence[str]) -> Mapping[str, ReadError]:
    """Of each scene of which one of `bands` cannot be opened, for good: the error of the first, by the scene's id.

    An asset that may be opened later says nothing.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(partial(_first_fault, bands=bands), scenes)
        return {scene.id: error for scene, error in zip(scenes, found, strict=True) if error is not None}


def _first_fault(scene: Scene, *, bands: Sequence[str]) -> ReadError | None:
    for band in bands:
        href = scene.href(band)
        try:
            with naming({href: {"scene": scene.id, "band": band}}):
                _open(href, scene.access)
        except TryAgainError:
            continue
        except ReadError as error:
            named = error.at(scene=scene.id, band=band)
            if is_the_scenes_own(named):
                return named
    return None


def _open(href: str, access: Access) -> None:
    def attempt() -> None:
        with opened(href, access):
            pass

    reading(href, access, attempt)
