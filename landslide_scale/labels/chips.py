"""Label polygons and a catalogue to training chips: the network trains on just what a scan reads.

A chip is a block of the zone's lattice, observed as a scan would; pixels that no scene saw, or that lie outside the
labelled region, are labelled 255 and take no part.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ray
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import Reason, scene_bands
from landslide_scale.datasets.chips import INDEX, VERSION
from landslide_scale.errors import IncompleteRunError, ReadError, RunConflictError
from landslide_scale.grid import PatchLattice, project
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.imagery.terrain import with_terrain
from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.reading.raster import burn
from landslide_scale.region.metres import check_metres
from landslide_scale.region.polygons import read_polygons
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import session, settle_data
from landslide_scale.scan.model import observed_as
from landslide_scale.scan.plan import Plan, WorkUnit
from landslide_scale.scan.survey import Sources, requested, searched, settled
from landslide_scale.stac.settings import DemConfig, Interpolation
from landslide_scale.storage.rundir import RunDirectory

LEAST_OBSERVED = 0.5
"""A chip of which less was observed is not kept."""


@dataclass(frozen=True, kw_only=True)
class ChipsSummary:
    """What was made: chips kept of those planned; labelled pixels, and landslides among them."""

    directory: str
    planned: int
    kept: int
    pixels: int
    landslide_pixels: int


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What every worker knows: as well-known text in degrees, the labelled region and the union of its labels."""

    bands: tuple[str, ...]
    composite: CompositeConfig
    directory: RunDirectory
    region: str
    labels: str
    interpolation: Interpolation


def make_chips(config: ChipsConfig, *, progress: Callable[[str], None] = lambda _: None) -> ChipsSummary:
    """Observe every block of the labelled region and write it with its labels.

    Raises:
        InvalidInputError: Region, labels, catalogue or folder do not fit; nothing was written.
        IncompleteRunError: Some chips could not be read; the others are there, but no index.
    """
    directory = RunDirectory(config.directory)
    if directory.names("", ""):
        raise RunConflictError("a folder with files in it", expected="an empty one", directory=directory)
    labels = read_polygons(config.labels)
    plan = chips_plan(config)
    task = _Task(
        bands=config.bands,
        composite=config.composite,
        directory=directory,
        region=plan.region.wkt,
        labels=shapely.union_all(labels.geometry).wkt,
        interpolation=(config.dem or DemConfig()).interpolation,
    )
    progress(f"{len(plan.units)} chips of {config.size} px from {len(plan.scenes)} scenes, {len(labels)} polygons")
    for scene in plan.quarantined:
        progress(f"not used: scene {scene.id}: {scene.quarantine}")
    for layer in plan.unseen:
        progress(f"no scene from {plan.windows[layer].days}: it gives no chips")
    found = _made_on_ray(plan, task, config)
    failed = [row["error"] for row in found if row["error"]]
    if failed:
        raise IncompleteRunError(f"{len(failed)} of {len(found)} chips failed", cure="; ".join(failed[:3]))
    directory.write_json(INDEX, _index(config, plan))
    return ChipsSummary(
        directory=str(directory),
        planned=len(found),
        kept=sum(row["pixels"] > 0 for row in found),
        pixels=sum(row["pixels"] for row in found),
        landslide_pixels=sum(row["landslide_pixels"] for row in found),
    )


def chips_plan(config: ChipsConfig) -> Plan:
    """Blocks of one chip each over the labelled ground.

    Raises:
        InvalidInputError: Anything the user gave that does not fit; nothing has been written.
    """
    request = requested(
        config.region,
        windows=config.windows,
        bands=config.bands,
        patches=PatchLattice(patch=config.size, halo=0),
        grid=config.grid.model_copy(update={"block": config.size, "chunk": config.size}),
        composite=config.composite,
    )
    check_metres(config.grid.crs, request.ground)
    sources = Sources(catalog=config.catalog, dem=config.dem)
    return settled(request, sources, searched(request, sources)).plan


def _made_on_ray(plan: Plan, task: _Task, config: ChipsConfig) -> list[dict[str, Any]]:
    """What became of each chip."""
    compute = config.compute
    rows = [{"unit": unit.to_json()} for unit in plan.units]
    with session(compute.address):
        check_on_every_node(config.directory, key="directory")
        settle_data()
        made = ray.data.from_items(rows, override_num_blocks=min(len(rows), 1000)).map(
            partial(_make, task=task), num_cpus=compute.cpus_per_reader
        )
        return list(made.iter_rows())


def _index(config: ChipsConfig, plan: Plan) -> dict[str, Any]:
    """What all chips have in common, how their pixels were made, and where and how their elevations were found."""
    facts = observed_as(config.grid, config.composite, config.dem)
    dem: dict[str, Any] = {}
    if config.dem is not None:
        dem = {
            "dem": [tile.id for tile in plan.dem],
            "dem_interpolation": config.dem.interpolation,
            "dem_source": {"profile": config.dem.profile, "collection": facts.dem},
        }
    return {
        "version": VERSION,
        "bands": list(config.bands),
        "radiometry": "boa",
        "resolution": facts.resolution,
        "size": config.size,
        "composite": {"method": facts.method, "clear": list(facts.clear or ()), "dilate_m": facts.dilate_m},
        "windows": len(config.windows),
        "fair_share": True,  # every block of a region whose labels are complete
    } | dem


def _make(row: dict[str, Any], task: _Task) -> dict[str, Any]:
    unit, bands = WorkUnit.from_json(row["unit"]), task.bands
    try:
        image = observe(unit.scenes, unit.lattice, unit.box, scene_bands(bands), task.composite)
        image = with_terrain(image, bands, unit.dem, unit.lattice, unit.box, interpolation=task.interpolation)
    except ReadError as error:
        return {"pixels": 0, "landslide_pixels": 0, "error": str(error.at(chip=unit.id))}
    label = _label(unit, image.reason, shapely.from_wkt(task.region), shapely.from_wkt(task.labels))
    counted = label != IGNORE
    if counted.mean() < LEAST_OBSERVED:
        return {"pixels": 0, "landslide_pixels": 0, "error": ""}
    content = io.BytesIO()
    np.savez_compressed(content, image=image.values, label=label)
    task.directory.write(f"{unit.id}.npz", content.getvalue())
    return {"pixels": int(counted.sum()), "landslide_pixels": int((label == LANDSLIDE).sum()), "error": ""}


def _label(unit: WorkUnit, reason: NDArray[np.uint8], ground: BaseGeometry, labels: BaseGeometry) -> NDArray[np.uint8]:
    """1 where a pixel's centre lies in a label, 255 where it was not observed or lies outside the region."""
    near = shapely.intersection(labels, shapely.buffer(unit.lattice.outline(unit.box), 1e-3))
    parts = [part for part in getattr(near, "geoms", [near]) if part.area > 0]
    moved = [project(part, 4326, unit.lattice.zone.epsg) for part in parts]
    label = burn(moved, unit.lattice, unit.box).astype(np.uint8)
    counted = (reason == Reason.OBSERVED) & unit.lattice.inside(unit.box, ground)
    return np.where(counted, label, np.uint8(IGNORE))
