"""From ground to a plan: Items are looked for, become scenes, are asked where their catalogue is in doubt, and planned.

A scan, its resumption, its further windows and the making of chips all walk this line; each value is made once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import scene_bands
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidCatalogError
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.imagery.witness import ask_pixels
from landslide_scale.region.polygons import area_km2, load, widen
from landslide_scale.region.settings import RegionConfig
from landslide_scale.scan import plan
from landslide_scale.scan.plan import METRES_AROUND_REGION, Plan
from landslide_scale.scene import Scene, Window
from landslide_scale.stac import search
from landslide_scale.stac.dem import DemTile, tiles
from landslide_scale.stac.frozen import DEM, SCENES, load_items, with_addresses
from landslide_scale.stac.items import Item, footprint, scenes, sensed, with_evidence
from landslide_scale.stac.radiometry import Evidence, confronted
from landslide_scale.stac.revisit import few_scenes
from landslide_scale.stac.settings import CatalogConfig, DemConfig
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be observed, before any catalogue is asked.

    Attributes:
        ground: The region, degrees.
        windows: The layers.
        bands: Channels, elevation and slope among them.
        patches: Where the network's squares lie.
        grid: The lattices.
        composite: How the scenes of a window become one image.
    """

    ground: BaseGeometry
    windows: tuple[Window, ...]
    bands: tuple[str, ...]
    patches: PatchLattice
    grid: GridConfig
    composite: CompositeConfig

    @cached_property
    def ground_sha256(self) -> str:
        """Of the region's geometry: a file edited in place is another region."""
        return hashlib.sha256(shapely.to_wkb(shapely.normalize(self.ground))).hexdigest()

    @cached_property
    def km2(self) -> float:
        """Area of the region."""
        return area_km2(self.ground)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where Items are from: of scenes, and of an elevation model where there is one."""

    catalog: CatalogConfig
    dem: DemConfig | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """The Items there are for a request.

    Attributes:
        frozen: Of scenes, as an earlier run kept them, with what their pixels said: they are not asked again.
        new: Of scenes, as the catalogue gives them now.
        dem: Of the elevation model.
    """

    frozen: tuple[Item, ...] = ()
    new: tuple[Item, ...] = ()
    dem: tuple[Item, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Work that can be begun.

    Attributes:
        request: What was asked for.
        items: Of scenes, with what the pixels of doubtful ones say.
        dem: Of the elevation model.
        plan: The work units.
    """

    request: Request
    items: tuple[Item, ...]
    dem: tuple[Item, ...]
    plan: Plan


def requested(
    region: RegionConfig,
    *,
    windows: Sequence[Window],
    bands: tuple[str, ...],
    patches: PatchLattice,
    grid: GridConfig,
    composite: CompositeConfig,
) -> Request:
    """A request, its region read.

    Raises:
        InvalidInputError: The region cannot be read.
    """
    ground = load(region)
    return Request(ground=ground, windows=tuple(windows), bands=bands, patches=patches, grid=grid, composite=composite)


def searched(request: Request, sources: Sources) -> Found:
    """What the catalogues have.

    Raises:
        InvalidCatalogError: There is no scene of a window, or no elevation, on this ground.
    """
    new = find(sources.catalog, request.ground, request.windows)
    return Found(new=tuple(new), dem=_searched_dem(sources.dem, request.ground))


def kept_or_searched(run: RunDirectory, request: Request, sources: Sources) -> Found:
    """What an earlier run in this folder froze; what it did not come to freeze is searched.

    Raises:
        InvalidCatalogError: As for :func:`searched`, or a catalogue no longer has a frozen Item that is signed.
    """
    if not run.exists(SCENES):
        new = find(sources.catalog, request.ground, request.windows)
        return Found(new=tuple(new), dem=kept_or_searched_dem(run, request, sources))
    frozen = with_addresses(load_items(run), sources.catalog)
    return Found(frozen=tuple(frozen), dem=kept_or_searched_dem(run, request, sources))


def kept_or_searched_dem(run: RunDirectory, request: Request, sources: Sources) -> tuple[Item, ...]:
    """The Items of the elevation model: those that the run froze, or what the catalogue has around the ground.

    Raises:
        InvalidCatalogError: As for :func:`kept_or_searched`.
    """
    if sources.dem is not None and run.exists(DEM):
        return tuple(with_addresses(load_items(run, DEM), sources.dem))
    return _searched_dem(sources.dem, request.ground)


def _searched_dem(config: DemConfig | None, ground: BaseGeometry) -> tuple[Item, ...]:
    if config is None:
        return ()
    return tuple(search.search_anytime(config, widen(ground, METRES_AROUND_REGION)))


def find(config: CatalogConfig, ground: BaseGeometry, windows: Iterable[Window]) -> list[dict[str, Any]]:
    """The catalogue's Items around `ground`.

    Raises:
        InvalidCatalogError: There is no scene of a window on this ground.
    """
    windows = tuple(windows)
    found = search.search(config, widen(ground, METRES_AROUND_REGION), windows)
    for line in few_scenes(found, ground, windows, config, until=datetime.now(UTC)):
        log.warning("%s", line)
    over = [sensed(item) for item in found if footprint(item).intersects(ground)]
    for window in windows:
        if not any(window.holds(instant) for instant in over):
            raise InvalidCatalogError(
                f"no scene of {search.collection(config)} meets the region "
                f"from {window.start.isoformat()} to {window.end.isoformat()}",
                expected="at least one",
                cure="Check region, windows and catalog.collection.",
            )
    return found


def settled(request: Request, sources: Sources, found: Found) -> Survey:
    """Scenes and elevation tiles of the Items, the doubtful new ones asked, and the plan of all of them.

    Raises:
        InvalidCatalogError: An Item lacks what is read of it, or no elevation tile meets the region.
    """
    wanted = scene_bands(request.bands)
    frozen = scenes(found.frozen, sources.catalog, wanted)
    new = scenes(found.new, sources.catalog, wanted)
    elevations = _elevations(found.dem, sources.dem, request.ground)
    made, said = judged(frozen, new, partial(_plan, request, elevations))
    items = [with_evidence(item, said[item["id"]]) if item["id"] in said else item for item in found.new]
    return Survey(request=request, items=(*found.frozen, *items), dem=found.dem, plan=made)


def _elevations(found: Sequence[Item], config: DemConfig | None, ground: BaseGeometry) -> tuple[DemTile, ...]:
    if config is None:
        return ()
    made = tiles(found, config)
    if not any(shapely.box(*tile.bounds).intersects(ground) for tile in made):
        raise InvalidCatalogError(
            f"no tile of {search.collection(config)} meets the region",
            expected="at least one",
            cure="Check region and dem.collection.",
        )
    return tuple(made)


def _plan(request: Request, elevations: tuple[DemTile, ...], known: Sequence[Scene]) -> Plan:
    return plan.make(
        region=request.ground,
        windows=request.windows,
        scenes=known,
        grid=request.grid,
        composite=request.composite,
        patches=request.patches,
        dem=elevations,
    )


def judged(
    frozen: Sequence[Scene], new: Sequence[Scene], planned: Callable[[Sequence[Scene]], Plan]
) -> tuple[Plan, dict[str, Evidence]]:
    """The plan, once the pixels of those new scenes were asked that it reads and whose catalogue may be wrong.

    Returns:
        The plan, and what the pixels of each scene that was asked say, by its id.
    """
    known = {scene.id: scene for scene in (*frozen, *new)}
    unasked = {scene.id for scene in new if scene.doubtful}
    said: dict[str, Evidence] = {}
    while True:
        made = planned(list(known.values()))
        doubtful = [scene for scene in made.scenes if scene.id in unasked]
        if not doubtful:
            return made, said
        # Where a processing alone is planned with, one that is quarantined now gives way to an older one, asked next.
        for name, evidence in ask_pixels(doubtful).items():
            known[name], said[name] = confronted(known[name], evidence), evidence
            unasked.remove(name)
