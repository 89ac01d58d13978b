"""What all chips of a set have in common, as its index says it: written last, so that a set with one is complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landslide_scale.cube.settings import GridConfig
from landslide_scale.datasets.chips import VERSION
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.model import observed_as
from landslide_scale.stac.settings import DemConfig


def index(
    bands: tuple[str, ...],
    size: int,
    windows: int,
    *,
    grid: GridConfig,
    composite: CompositeConfig,
    dem: DemConfig | None,
    tiles: list[str],
    labels: dict[str, Any],
    fair_share: bool,
    chips: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The index as JSON: how pixels were made, and where and how their elevations were found.

    Args:
        bands: Channels of the chips.
        size: Pixels per side.
        windows: How many there are.
        grid: The lattices.
        composite: How the scenes of a window became one image.
        dem: Where elevations are from.
        tiles: Ids of its tiles.
        labels: What became of the polygons.
        fair_share: Whether landslides are as frequent among the labelled pixels as on some ground.
        chips: SHA-256 of the file of each, by its name; None where that of one is not known.
    """
    facts = observed_as(grid, composite, dem)
    of_dem: dict[str, Any] = {}
    if dem is not None:
        of_dem = {
            "dem": tiles,
            "dem_interpolation": dem.interpolation,
            "dem_source": {"profile": dem.profile, "collection": facts.dem},
        }
    return (
        {
            "version": VERSION,
            "bands": list(bands),
            "radiometry": "boa",
            "resolution": facts.resolution,
            "size": size,
            "composite": {
                "method": facts.method,
                "clear": list(facts.clear or ()),
                "dilate_m": facts.dilate_m,
                "mask": list(facts.mask or ()),
            },
            "windows": windows,
            "fair_share": fair_share,
            "labels": labels,
        }
        | of_dem
        | ({} if chips is None else {"chips": dict(chips)})
    )
