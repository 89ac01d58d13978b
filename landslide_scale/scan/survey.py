"""What a scan is about, settled before anything is read or written: model, ground, frozen scenes, plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS, scene_bands
from landslide_scale.errors import InvalidCatalogError, InvalidCheckpointError, InvalidConfigError
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.terrain import check_scale
from landslide_scale.imagery.witness import ASKED, ask_pixels
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.model.checkpoint import ModelCard, fingerprint, read_card
from landslide_scale.region import polygons
from landslide_scale.scan import plan
from landslide_scale.scan.plan import METRES_AROUND_REGION, Plan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Window
from landslide_scale.stac import dem, items
from landslide_scale.stac import search as catalogue
from landslide_scale.stac.frozen import DEM, SCENES, load_items, with_addresses
from landslide_scale.stac.providers import PROFILES
from landslide_scale.stac.radiometry import Evidence
from landslide_scale.stac.settings import CatalogConfig, check_terrain
from landslide_scale.storage.rundir import RunDirectory

NETWORK_SIDE = 448
"""Side in pixels of what the encoder sees by default: 28 of SAM's tokens, two windows of 14 without padding; a multiple
of 32 too, for the convolutional networks."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A scan that can be begun.

    Attributes:
        card: The checkpoint's.
        checkpoint_sha256: Of the checkpoint file.
        items: The frozen catalogue Items.
        dem: Those of the elevation model.
        plan: Its work units.
        km2: Area of the region.
        caveat: What every output must say of this pairing of model and data; empty where there is nothing.
    """

    card: ModelCard
    checkpoint_sha256: str
    items: tuple[dict[str, Any], ...]
    plan: Plan
    km2: float
    caveat: str
    dem: tuple[dict[str, Any], ...] = ()

    @property
    def region_sha256(self) -> str:
        """Of the region's geometry: a file edited in place is another region."""
        return hashlib.sha256(shapely.to_wkb(shapely.normalize(self.plan.region))).hexdigest()

    def settings(self, config: ScanConfig) -> dict[str, Any]:
        """What the result depends on, files by their content."""
        return config.settings() | {
            "checkpoint_sha256": self.checkpoint_sha256,
            "region_sha256": self.region_sha256,
        }


def survey(config: ScanConfig) -> Survey:
    """Settle a scan; an earlier run in the same folder has frozen its scenes, and they are used again.

    Raises:
        InvalidInputError: Anything the user gave that does not fit; nothing has been written.
    """
    ground = ground_of(config)
    run = RunDirectory(config.output.run)

    if run.exists(SCENES):
        found = with_addresses(load_items(run), config.catalog)
    else:
        found = search(config, ground, config.windows)
    return settle(config, ground, found, dem_items(config, ground, run))


def ground_of(config: ScanConfig) -> BaseGeometry:
    """The region of a scan, once what costs less to check than a search fits.

    Raises:
        InvalidInputError: The checkpoint or the region does not fit.
    """
    card = read_card(config.model.checkpoint)
    _caveat(config, card)
    _patches(config, card)
    try:
        check_terrain(card.model.bands, config.dem)
    except InvalidConfigError as error:
        raise error.at(file=config.model.checkpoint) from error
    ground = polygons.load(config.region)
    check_scale(card.model.bands, config.grid, ground)
    return ground


def search(config: ScanConfig, ground: BaseGeometry, windows: Sequence[Window]) -> list[dict[str, Any]]:
    """The Items of these windows, with what the pixels of doubtful ones say.

    Raises:
        InvalidCatalogError: There is no scene of a window on this ground.
    """
    card, of_windows = read_card(config.model.checkpoint), config.model_copy(update={"windows": tuple(windows)})
    found = find(config.catalog, ground, windows)
    return judged(found, config.catalog, lambda items_now: _plan(of_windows, card, ground, items_now))


def dem_items(config: ScanConfig, ground: BaseGeometry, run: RunDirectory) -> list[dict[str, Any]]:
    """The Items of the elevation model: those that the run froze, or what the catalogue has around the ground.

    Raises:
        InvalidCatalogError: As for :func:`find_dem`, or the catalogue no longer has a frozen one that is signed.
    """
    if config.dem is not None and run.exists(DEM):
        return with_addresses(load_items(run, DEM), config.dem)
    return find_dem(config, ground)


def find_dem(config: ScanConfig | ChipsConfig, ground: BaseGeometry) -> list[dict[str, Any]]:
    """The Items of the elevation model around `ground`; none where none is configured.

    Raises:
        InvalidCatalogError: It has nothing on this ground.
    """
    if config.dem is None:
        return []
    found = catalogue.search_anytime(config.dem, polygons.widen(ground, METRES_AROUND_REGION))
    if not any(shapely.box(*tile.bounds).intersects(ground) for tile in dem.tiles(found, config.dem)):
        raise InvalidCatalogError(
            f"no tile of {catalogue.collection(config.dem)} meets the region",
            expected="at least one",
            cure="Check region and dem.collection.",
        )
    return found


def settle(
    config: ScanConfig, ground: BaseGeometry, found: Sequence[dict[str, Any]], elevations: Sequence[dict[str, Any]] = ()
) -> Survey:
    """A scan of these Items, and these of the elevation model, over this ground.

    Raises:
        InvalidInputError: Anything the user gave that does not fit.
    """
    card = read_card(config.model.checkpoint)
    return Survey(
        card=card,
        checkpoint_sha256=fingerprint(config.model.checkpoint),
        items=tuple(found),
        dem=tuple(elevations),
        plan=_plan(config, card, ground, found, elevations),
        km2=polygons.area_km2(ground),
        caveat=_caveat(config, card),
    )


def _plan(
    config: ScanConfig,
    card: ModelCard,
    ground: BaseGeometry,
    found: Sequence[dict[str, Any]],
    elevations: Sequence[dict[str, Any]] = (),
) -> Plan:
    return plan.make(
        region=ground,
        windows=config.windows,
        scenes=items.scenes(found, config.catalog, scene_bands(card.model.bands)),
        grid=config.grid,
        composite=config.composite,
        patches=_patches(config, card),
        dem=dem.tiles(elevations, config.dem) if config.dem else (),
    )


def chips_plan(config: ChipsConfig) -> Plan:
    """Blocks of one chip each over the labelled ground.

    Raises:
        InvalidInputError: Anything the user gave that does not fit; nothing has been written.
    """
    ground = polygons.load(config.region)
    check_scale(config.bands, config.grid, ground)
    tiles = dem.tiles(find_dem(config, ground), config.dem) if config.dem else ()

    def planned(found: Sequence[dict[str, Any]]) -> Plan:
        return plan.make(
            region=ground,
            windows=config.windows,
            scenes=items.scenes(found, config.catalog, scene_bands(config.bands)),
            grid=config.grid.model_copy(update={"block": config.size, "chunk": config.size}),
            composite=config.composite,
            patches=PatchLattice(patch=config.size, halo=0),
            dem=tiles,
        )

    return planned(judged(find(config.catalog, ground, config.windows), config.catalog, planned))


def find(config: CatalogConfig, ground: BaseGeometry, windows: Iterable[Window]) -> list[dict[str, Any]]:
    """The catalogue's Items around `ground`.

    Raises:
        InvalidCatalogError: There is no scene of a window on this ground.
    """
    windows = tuple(windows)
    found = catalogue.search(config, polygons.widen(ground, METRES_AROUND_REGION), windows)
    over = [item for item in found if items.footprint(item).intersects(ground)]
    for window in windows:
        if not any(window.holds(items.sensed(item)) for item in over):
            raise InvalidCatalogError(
                f"no scene of {catalogue.collection(config)} meets the region "
                f"from {window.start.isoformat()} to {window.end.isoformat()}",
                expected="at least one",
                cure="Check region, windows and catalog.collection.",
            )
    return found


def judged(
    found: Sequence[dict[str, Any]], config: CatalogConfig, planned: Callable[[Sequence[dict[str, Any]]], Plan]
) -> list[dict[str, Any]]:
    """The Items, with what the pixels of those say that the plan reads and whose catalogue may be wrong.

    Raises:
        InvalidCatalogError: As for :func:`landslide_scale.stac.items.scenes`.
    """
    if not PROFILES[config.profile].doubtful:
        return list(found)
    known = {item["id"]: item for item in found}
    while True:
        read = (known[scene.id] for scene in planned(list(known.values())).scenes)
        doubtful = [item for item in read if items.asks_for_a_witness(item, config)]
        if not doubtful:
            return list(known.values())
        # A scene that is quarantined now gives way to an older processing, which is asked in the next round.
        for name, evidence in _evidence(doubtful, config).items():
            known[name] = items.with_evidence(known[name], evidence)


def _evidence(doubtful: Sequence[dict[str, Any]], config: CatalogConfig) -> dict[str, Evidence]:
    askable = [item for item in doubtful if items.has_assets(item, config, ASKED)]
    silent = Evidence(verdict="unclear", figures="no assets of blue and red")
    asked = ask_pixels(items.scenes(askable, config, ASKED[:-1]))
    return {item["id"]: asked.get(item["id"], silent) for item in doubtful}


def _patches(config: ScanConfig, card: ModelCard) -> PatchLattice:
    return PatchLattice(patch=patch_side(config, card), halo=config.predict.halo)


def patch_side(config: ScanConfig, card: ModelCard) -> int:
    """Side of a patch in native pixels.

    Raises:
        InvalidConfigError: The network cannot see a square of that side.
    """
    side = config.predict.patch or NETWORK_SIDE // card.model.upsample
    if side * card.model.upsample % card.model.multiple:
        raise InvalidConfigError(
            f"{side} px enlarged by {card.model.upsample} to {side * card.model.upsample} px",
            expected=f"a multiple of {card.model.multiple} once enlarged",
            key="predict.patch",
        )
    return side


def _caveat(config: ScanConfig, card: ModelCard) -> str:
    """Sentinel-2 L2A is surface reflectance; another radiometry is refused unless told to go on."""
    known = (*BAND_NAMES, *TERRAIN_BANDS)
    unknown = [band for band in card.model.bands if band not in known]
    if unknown:
        raise InvalidCheckpointError(
            f"bands {unknown}", expected=f"of {', '.join(known)}", file=config.model.checkpoint
        )
    trained = card.inputs.radiometry
    if trained == "boa":
        return ""
    if scene_bands(card.model.bands) != card.model.bands:
        raise InvalidCheckpointError(
            f"bands {list(card.model.bands)} trained on radiometry {trained}",
            expected="elevation in metres and slope in degrees, as in chips of this package",
            file=config.model.checkpoint,
        )
    if config.model.accept_radiometry != trained:
        raise InvalidCheckpointError(
            f"trained on radiometry {trained}",
            expected="boa, the surface reflectance that a scan reads",
            cure=f"To go on all the same set model.accept_radiometry: {trained}; every output will say so.",
            file=config.model.checkpoint,
        )
    return f"The model was trained on {trained} imagery, not on surface reflectance: this is not a landslide map."
