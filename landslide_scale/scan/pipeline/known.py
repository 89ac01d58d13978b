"""An earlier run as another one takes units from it: what is done there, and what that was made of.

A unit is known by its ground and by what it is made of, not by its window: a layer of the other run may have another
index, or other instants, as a window has that goes on to the day. Of several layers whose unit fits, that of the same
window comes first, then one that begins at the same instant; what they hold is the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import scene_bands
from landslide_scale.cube.computed import computed_in
from landslide_scale.cube.inputs import of_two_files
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.provenance import NumberFormat
from landslide_scale.scan import layout
from landslide_scale.scan.layout import Layout
from landslide_scale.scan.plan import Place, WorkUnit
from landslide_scale.scan.prepared import check_base
from landslide_scale.scan.work import Task
from landslide_scale.scene import Access, Scene, Window, by_processing, newest_processing
from landslide_scale.stac.aside import load_aside
from landslide_scale.stac.frozen import SCENES, load_items
from landslide_scale.stac.items import sorted_out
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Done:
    """A unit of the earlier run that is done."""

    place: Place
    record: Record


@dataclass(frozen=True, kw_only=True)
class Base:
    """An earlier run.

    Attributes:
        laid: Its units.
        records: What became of them, by id.
        scenes: For each of its layers, those that it could be made of, by id.
        region: Its ground, degrees; None where it does not say.
        as_asked: Whether its region is that of the run that takes units from it.
        layers: Its layers, in the order they are looked at, for each of that run's.
        precision: In which its network computed, as far as that is known.
        bare: Whether a layer of its is said to have no scene, where that is known.
    """

    laid: Layout
    records: Mapping[str, Record]
    scenes: Sequence[Mapping[str, Scene]]
    region: BaseGeometry | None
    as_asked: bool
    layers: Sequence[Sequence[int]]
    bare: Mapping[int, bool]
    precision: NumberFormat | None = None

    @cached_property
    def _places(self) -> Mapping[tuple[int, int, int], Mapping[int, Place]]:
        """By zone, row and column of the block: its units by layer."""
        found: dict[tuple[int, int, int], dict[int, Place]] = defaultdict(dict)
        for place in self.laid.places:
            found[_ground(place)][place.layer] = place
        return found

    def like(self, unit: WorkUnit, task: Task) -> Done | None:
        """The unit here that is made of the same, as far as that is known without looking at its ground."""
        places = self._places.get(_ground(unit), {})
        for layer in self.layers[unit.layer]:
            place = places.get(layer)
            record = self.records.get(place.id) if place is not None else None
            if place is not None and record is not None and record.done and self._is_alike(unit, layer, record, task):
                return Done(place=place, record=record)
        return None

    def _is_alike(self, unit: WorkUnit, layer: int, record: Record, task: Task) -> bool:
        known, needed = self.scenes[layer], {scene.id for place, scene in by_processing(unit.scenes) if not place}
        offsets = {scene.id: (scene.offset, scene.offset_rule) for scene in unit.scenes}
        made = {scene["id"]: (scene["offset"], scene["rule"]) for scene in record.scenes if "quarantined" not in scene}
        return (
            # An older processing that filled nothing is in no record, and must have been there to fill all the same.
            all(known.get(scene.id) == _facts(scene) for scene in unit.scenes)
            and needed <= made.keys()
            and made.items() <= offsets.items()
            and not of_two_files(record)
            and record.computed.get("precision", task.precision) in {None, task.precision}
            and record.dem == tuple(tile.id for tile in unit.dem)
            and (bool(unit.scenes) or self.bare.get(layer) == (unit.layer in task.bare))
        )

    def has_ground(self, unit: WorkUnit, region: BaseGeometry) -> bool:
        """Whether the same pixels of a unit's block lie in the region here as in the one that is given."""
        if self.as_asked:
            return True
        if self.region is None:
            return False
        here, there = (unit.lattice.inside(unit.box, ground) for ground in (self.region, region))
        return np.array_equal(here, there)


def opened(base: RunDirectory, task: Task, catalog: CatalogConfig) -> Base:
    """What an earlier run holds now.

    Args:
        base: Its folder; it may be at work.
        task: Of the run that takes units from it, which has been begun.
        catalog: How that one makes scenes of Items.

    Raises:
        InvalidInputError: It is no scan of the same settings, or had not come to its first unit.
    """
    own = task.run.claimed()["settings"]
    check_base(base, task.run, own)
    settings, laid = base.claimed()["settings"], layout.load(base)
    layers = range(len(laid.windows))
    # A run that was just given more windows has units of layers that it did not have when its settings were read.
    laid = replace(laid, places=tuple(place for place in laid.places if place.layer in layers))
    records = Ledger(base).records()
    return Base(
        laid=laid,
        records=records,
        scenes=_scenes(base, laid.windows, task, catalog),
        region=layout.load_region(base),
        as_asked=settings.get("region_sha256") == own["region_sha256"],
        layers=[_in_order(Window.recorded(window), laid.windows) for window in own["windows"]],
        bare=_bare(laid, records, settings),
        precision=computed_in(records.values()),
    )


def _scenes(
    base: RunDirectory, windows: Sequence[Window], task: Task, catalog: CatalogConfig
) -> list[Mapping[str, Scene]]:
    """By id, for each layer: the scenes that were planned with there, each as what it says about pixels."""
    if not base.exists(SCENES):
        return [{} for _ in windows]
    aside = load_aside(base)
    out = {*(scene.id for scene in aside.excluded), *aside.unreadable}
    bands = (*scene_bands(task.bands), *task.composite.assets[1:])
    found = sorted_out((item for item in load_items(base) if item["id"] not in out), catalog, bands).scenes
    trusted = [scene for scene in found if not scene.quarantine]
    chosen = newest_processing(trusted) if task.composite.processings == "newest" else trusted
    return [{scene.id: _facts(scene) for scene in chosen if window.holds(scene.sensed)} for window in windows]


def _facts(scene: Scene) -> Scene:
    """A scene without where it lies, which says nothing about its pixels."""
    return replace(scene, assets=(), access=Access(), doubtful=False)


def _bare(laid: Layout, records: Mapping[str, Record], settings: Mapping[str, Any]) -> dict[int, bool]:
    """Whether the reason of a layer's pixels is that the catalogue has no scene, where units that are done tell."""
    told = settings["catalog"].get("require", "all") == "any"
    found: dict[int, bool] = {}
    for layer in range(len(laid.windows)):
        of_layer = [records.get(place.id) for place in laid.places if place.layer == layer]
        if any(record is not None and record.scenes for record in of_layer):
            found[layer] = False
        elif all(record is not None and record.done for record in of_layer):
            found[layer] = told
    return found


def _in_order(window: Window, known: Sequence[Window]) -> list[int]:
    """Indexes of all of the windows: the same, then those that begin with it, then the others."""
    return sorted(range(len(known)), key=lambda layer: (known[layer] != window, known[layer].start != window.start))


def _ground(place: Place) -> tuple[int, int, int]:
    return place.lattice.zone.epsg, place.block.row, place.block.col
