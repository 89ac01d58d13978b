"""What is known of ground besides its probability: snow near, water, and scenes that are less to be relied on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.mask import near
from landslide_scale.products.bits import LOW_SUN_DEG, SNOW_NEAR_M, Advisory
from landslide_scale.products.scanned import Scanned
from landslide_scale.stac.filters import sun_elevation
from landslide_scale.stac.frozen import SCENES, load_items
from landslide_scale.stac.radiometry import INCONCLUSIVE


def snow_near(of: Scanned, lattice: Lattice, box: PixelBox, layer: int) -> NDArray[np.bool_] | None:
    """(H, W) where snow lies within `SNOW_NEAR_M`, in whichever block; None where there is none."""
    radius = SNOW_NEAR_M / lattice.resolution
    around = box.pad(int(radius)).intersection(of.extents[lattice])
    assert around is not None  # noqa: S101 the extent has the box
    snow = of.read_one(lattice, around, layer, "reason") == Reason.SNOW
    return near(snow, radius)[box.within(around)] if snow.any() else None


def water(of: Scanned, lattice: Lattice, box: PixelBox, layer: int) -> NDArray[np.bool_] | None:
    """(H, W) where the kept composite is brighter in green than in near infrared; None without these bands.

    So the normalised difference water index is above 0 (McFeeters 1996, doi 10.1080/01431169608948714).
    """
    if not {"green", "nir"} <= set(of.laid.bands):
        return None
    bands = of.read_reflectance(lattice, box, layer)
    return np.asarray(bands["green"] > bands["nir"])


def low_sun(of: Scanned) -> frozenset[str]:
    """Ids of scenes that say of themselves that the sun stood low."""
    suns = {item["id"]: _sun(item) for item in (load_items(of.run) if of.run.exists(SCENES) else ())}
    return frozenset(name for name, sun in suns.items() if sun is not None and sun < LOW_SUN_DEG)


def rules(of: Scanned, units: Iterable[str]) -> dict[str, str]:
    """The rule of the offset by id, of each scene that units which are done were made of."""
    said = (scene for unit in units for scene in of.records[unit].scenes)
    return {scene["id"]: str(scene.get("rule", "")) for scene in said if "quarantined" not in scene}


def advised(scenes: Mapping[str, str], low: frozenset[str]) -> Advisory:
    """What is to be said of ground that was made of these scenes.

    Args:
        scenes: As :func:`rules` gives them.
        low: As :func:`low_sun` does.
    """
    found = Advisory(0)
    if any(INCONCLUSIVE in rule for rule in scenes.values()):
        found |= Advisory.OFFSET_INCONCLUSIVE
    return found if low.isdisjoint(scenes) else found | Advisory.LOW_SUN


def _sun(item: Mapping[str, Any]) -> float | None:
    try:
        return sun_elevation(item)
    except (ValueError, TypeError):  # said in words, as nothing else of a scene that was used needs it
        return None
