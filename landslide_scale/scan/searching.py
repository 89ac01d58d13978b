"""What is to be observed, and the Items that catalogues have of it, or an earlier run has kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import scene_bands
from landslide_scale.cube import manifest
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidCatalogError, InvalidInputError
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.region.polygons import area_km2, load, widen
from landslide_scale.region.settings import RegionConfig
from landslide_scale.scan.plan import METRES_AROUND_REGION
from landslide_scale.scene import Window
from landslide_scale.stac import search
from landslide_scale.stac.aside import ASIDE, NOTHING_ASIDE, SetAside, load_aside
from landslide_scale.stac.dem import tiles
from landslide_scale.stac.frozen import DEM, SCENES, load_items, with_addresses
from landslide_scale.stac.items import Item
from landslide_scale.stac.revisit import check_windows
from landslide_scale.stac.settings import CatalogConfig, DemConfig
from landslide_scale.storage.rundir import RunDirectory


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

    @property
    def read(self) -> tuple[str, ...]:
        """What is read of scenes beside their classes: bands, and what the rules of a mask ask."""
        return (*scene_bands(self.bands), *self.composite.assets[1:])

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
        aside: Which scenes an earlier run went without.
        searched: The windows of the new ones.
    """

    frozen: tuple[Item, ...] = ()
    new: tuple[Item, ...] = ()
    dem: tuple[Item, ...] = ()
    aside: SetAside = NOTHING_ASIDE
    searched: tuple[Window, ...] = ()


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
        InvalidCatalogError: There is no scene, or no elevation, on this ground.
    """
    return _searched(request, sources, _searched_dem(sources.dem, request.ground))


def _searched(request: Request, sources: Sources, dem: tuple[Item, ...]) -> Found:
    new = find(sources.catalog, request.ground, request.windows)
    check_windows(sources.catalog, request.ground, request.windows, new)
    return Found(new=tuple(new), dem=dem, searched=request.windows)


def check_kept(run: RunDirectory) -> None:
    """Make sure that what a run was planned from is what was kept, as far as its hashes were.

    Raises:
        InvalidInputError: It is not, and cannot be made again.
    """
    found = manifest.altered(run, (SCENES, DEM, ASIDE))
    if found.get(ASIDE) == manifest.GONE:
        del found[ASIDE]  # it is decided anew
    for name, problem in found.items():
        anew = "remove it: then --resume decides anew" if name == ASIDE else "begin another run"
        raise InvalidInputError(
            f"{name}: {problem}",
            expected="what the run was planned from, as it was kept",
            cure=f"Bring it back from a copy, or {anew}.",
            run=run,
        )


def kept_or_searched(run: RunDirectory, request: Request, sources: Sources) -> Found:
    """What an earlier run in this folder froze; what it did not come to freeze is searched.

    Raises:
        InvalidCatalogError: As for :func:`searched`, or a catalogue no longer has a frozen Item that is signed.
    """
    dem = kept_or_searched_dem(run, request, sources)
    if not run.exists(SCENES):
        return _searched(request, sources, dem)
    frozen = with_addresses(load_items(run), sources.catalog)
    return Found(frozen=tuple(frozen), dem=dem, aside=load_aside(run))


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
    found = search.search_anytime(config, widen(ground, METRES_AROUND_REGION))
    if not any(shapely.box(*tile.bounds).intersects(ground) for tile in tiles(found, config)):
        raise InvalidCatalogError(
            f"no tile of {search.collection(config)} meets the region",
            expected="at least one",
            cure="Check region and dem.collection.",
        )
    return tuple(found)


def find(config: CatalogConfig, ground: BaseGeometry, windows: Iterable[Window]) -> list[Item]:
    """The catalogue's Items around `ground`.

    Raises:
        InvalidCatalogError: The catalogue does not answer.
    """
    return search.search(config, widen(ground, METRES_AROUND_REGION), tuple(windows))
