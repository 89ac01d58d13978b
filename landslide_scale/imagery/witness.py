"""Asking the pixels of scenes whether the offset is still in them, where the catalogue's word is doubtful.

The driver does this once, before the plan is made, because a scene that contradicts its catalogue must not be planned
with; what was found is frozen with the Items, so that a resumed run decides alike and reads nothing. Of each scene one
overview of three assets is read, some 2 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from landslide_scale.errors import ReadError
from landslide_scale.reading.raster import read_sample
from landslide_scale.scene import Scene
from landslide_scale.stac.radiometry import WITNESS_BANDS, Evidence, witness

AT_ONCE = 8


def ask_pixels(scenes: Iterable[Scene]) -> Mapping[str, Evidence]:
    """What the pixels of each scene say, by id.

    A scene that cannot be read, or has no such bands, has nothing to say: a unit that needs it finds out and names it.
    """
    wanted = list(scenes)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((scene.id for scene in wanted), pool.map(_ask, wanted), strict=True))


def _ask(scene: Scene) -> Evidence:
    asked, known = (*WITNESS_BANDS, "scl"), dict(scene.assets)
    if not known.keys() >= set(asked):
        return Evidence(verdict="unclear", figures=f"no assets of {' and '.join(WITNESS_BANDS)}")
    try:
        blue, red, classes = (read_sample(known[band], scene.access) for band in asked)
    except ReadError as error:
        return Evidence(verdict="unclear", figures=f"not readable: {type(error).__name__}: {error.found}")
    if blue is None or red is None or classes is None:
        return Evidence(verdict="unclear", figures="no overview small enough to be read whole")
    return witness(blue, red, classes)
