"""Chips before any is made: what they would be of, and what a person should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.grid import PatchLattice, turns
from landslide_scale.labels.ground import LabelledGround
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.region.metres import check_metres
from landslide_scale.scan.plan import Plan, WorkUnit
from landslide_scale.scan.searching import Request, Sources, kept_or_searched
from landslide_scale.scan.survey import Survey, settled
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreseen:
    """A set of chips that can be begun, or gone on with.

    Attributes:
        config: As asked for.
        directory: Where the chips go.
        survey: Over what.
        labelled: The landslides, and the ground on which all of them were drawn.
    """

    config: ChipsConfig
    directory: RunDirectory
    survey: Survey
    labelled: LabelledGround

    @property
    def bare(self) -> tuple[int, ...]:
        """Numbers of the windows that end before the landslides are there: their chips show none."""
        return self.config.labels.bare(self.config.windows)

    @property
    def dated(self) -> dict[str, str]:
        """What the index says of when the landslides were there."""
        window = self.config.labels.window
        return {} if window is None else {"window": window.instants}

    @property
    def notices(self) -> list[str]:
        """What it consists of and is done without, and what may not be meant so."""
        plan, labelled, region = self.survey.plan, self.labelled, self.config.region
        lines = [
            f"{len(plan.units)} chips of {self.config.size} px from {len(plan.scenes)} scenes, {labelled.drawn}",
            *([] if labelled.landslides.intersects(labelled.ground) else [_apart(labelled)]),
        ]
        if region.around_labels is not None:
            lines.append("the region is what lies around the labels: landslides are more frequent in it than elsewhere")
        if len(plan.windows) > 1 and self.config.labels.window is None:
            lines.append(
                f"the landslides are taken to be there in all {len(plan.windows)} windows: labels.window says when "
                "they were"
            )
        lines += [f"{plan.windows[layer].days}: before the landslides, all background" for layer in self.bare]
        return [
            *lines,
            *(f"not used: scene {scene.id}: {scene.quarantine}" for scene in plan.quarantined),
            *(f"no scene from {plan.windows[layer].days}: it gives no chips" for layer in plan.unseen),
            *self.survey.noticed,
        ]


def foresee(config: ChipsConfig) -> Foreseen:
    """Settle a set of chips; an earlier run in the same folder has frozen its scenes, and they are used again.

    Raises:
        InvalidInputError: Region, labels, catalogue or folder do not fit; nothing was written.
        AwayError: The catalogue cannot be reached now.
    """
    directory = RunDirectory(config.directory)
    directory.check_free()
    labelled = LabelledGround.of(config.labels, config.region)
    request = _requested(config, labelled.ground)
    check_metres(config.grid.crs, request.ground)
    sources = Sources(catalog=config.catalog, dem=config.dem)
    survey = settled(request, sources, kept_or_searched(directory, request, sources))
    return Foreseen(config=config, directory=directory, survey=survey, labelled=labelled)


def plan_lines(found: Foreseen) -> list[str]:
    """What making the chips would do, window by window."""
    plan = found.survey.plan
    layers = range(len(plan.windows))
    return [*found.notices, *(_window_line(plan, layer, found.labelled, found.bare) for layer in layers)]


def _window_line(plan: Plan, layer: int, labelled: LabelledGround, bare: Sequence[int]) -> str:
    window, units = plan.windows[layer], [unit for unit in plan.units if unit.layer == layer]
    scenes = {scene.id for unit in units for scene in unit.scenes}
    labels = shapely.intersection(labelled.landslides, labelled.ground)
    meeting = 0 if layer in bare else sum(_holds(unit, labels) for unit in units)
    without = sum(not unit.scenes for unit in units)
    unseen = f", {without} without a scene" if without else ""
    return f"{window.days}: {len(scenes)} scenes, {len(units)} chips{unseen}, {meeting} of them with landslides"


def _holds(unit: WorkUnit, labels: BaseGeometry) -> bool:
    """Whether a chip has labels on its zone's ground, whatever turn of the globe its outline is told on."""
    found = (unit.lattice.zone.clip(turned) for turned in turns(unit.lattice.outline(unit.box)))
    return any(labels.intersects(outline) for outline in found if not outline.is_empty)


def _apart(labelled: LabelledGround) -> str:
    there, here = (_extent(ground.bounds) for ground in (labelled.landslides, labelled.ground))
    return (
        f"no label meets the region: all of it is labelled as background; the labels lie within {there}, the region "
        f"within {here} (west, south, east, north)"
    )


def _extent(bounds: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in bounds)


def _requested(config: ChipsConfig, ground: BaseGeometry) -> Request:
    return Request(
        ground=ground,
        windows=config.windows,
        bands=config.bands,
        patches=PatchLattice(patch=config.size, halo=0),
        grid=config.grid.model_copy(update={"block": config.size, "chunk": config.size}),
        composite=config.composite,
    )
