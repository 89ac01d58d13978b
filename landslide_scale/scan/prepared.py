"""A scan before anything is written: its model, and what it would be over; also where there is no model yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS, scene_bands
from landslide_scale.cube.template import Template
from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.grid import PatchLattice
from landslide_scale.region.metres import check_metres
from landslide_scale.registry.instead import with_instead
from landslide_scale.scan.layout import Layout
from landslide_scale.scan.model import (
    NETWORK_SIDE,
    NoModel,
    ScanModel,
    fitting_model,
    no_model,
    observed_as,
)
from landslide_scale.scan.searching import Request, Sources, check_kept, kept_or_searched, requested
from landslide_scale.scan.settings import NONE, UNSAID, CheckpointConfig, ScanConfig
from landslide_scale.scan.survey import Survey, settled
from landslide_scale.scan.work import Task
from landslide_scale.scene import Window
from landslide_scale.spec import LandslideNetSpec
from landslide_scale.stac.settings import DemConfig, check_terrain
from landslide_scale.storage.rundir import RUN, RunDirectory

OF_UNITS = ("region", "region_sha256", "windows")
"""Settings that say which units a run has. What comes of a unit depends on its own scenes and ground alone."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scan that can be begun, or gone on with.

    Attributes:
        config: As asked for, under the rules that its run was begun under.
        run: Where it goes.
        model: With what.
        survey: Over what.
    """

    config: ScanConfig
    run: RunDirectory
    model: ScanModel | NoModel
    survey: Survey

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on, files by their content."""
        return result_settings(self.config, self.model, self.survey.request)

    @property
    def predicted(self) -> bool:
        """Whether a network is shown what is observed."""
        return self.config.model != NONE

    @property
    def template(self) -> Template:
        """The cube it fills."""
        survey, output = self.survey, self.config.output
        return Template(
            extents=survey.plan.extents,
            windows=survey.plan.windows,
            grid=survey.request.grid,
            sharded=output.sharded,
            attributes={"title": "Landslide probability", "source": "Sentinel-2 L2A", **self.model.attributes},
            bands=output.keep,
        )

    @property
    def layout(self) -> Layout:
        """Where its units lie in the cube."""
        output, plan = self.config.output, self.survey.plan
        return Layout(
            run=self.run,
            places=plan.units,
            windows=plan.windows,
            side=output.side(self.config.grid),
            bands=output.keep,
        )

    @property
    def task(self) -> Task:
        """What every worker is to know, but for what its run's driver adds."""
        request, plan, config = self.survey.request, self.survey.plan, self.config
        return Task(
            run=self.run,
            region=plan.region.wkt,
            bands=request.bands,
            composite=request.composite,
            patches=plan.patches,
            extents=tuple(plan.extents.items()),
            interpolation=(config.dem or DemConfig()).interpolation,
            bare=plan.bare if config.catalog.require == "any" else (),
            keep=config.output.keep,
            predicted=self.predicted,
            checkpoint_sha256=self.model.recorded.get("checkpoint_sha256", ""),
        )

    @property
    def noted(self) -> dict[str, Any]:
        """What run.json says of the plan."""
        plan, base = self.survey.plan, self.config.output.base
        return {
            **self.model.noted,
            "units": len(plan.units),
            "scenes": len(plan.scenes),
            "quarantined": {scene.id: scene.quarantine for scene in plan.quarantined},
            "windows_without_scenes": [plan.windows[layer].days for layer in plan.unseen],
            "region_km2": self.survey.request.km2,
            **({"dem": [tile.id for tile in plan.dem]} if self.config.dem is not None else {}),
            **({"base": str(RunDirectory(base))} if base is not None else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """A scan whose checkpoint is not there yet.

    Attributes:
        config: As asked for, under the rules that its run was begun under.
        survey: Over what.
        bands: Channels of the network it was planned for.
    """

    config: ScanConfig
    survey: Survey
    bands: tuple[str, ...]


def prepare(config: ScanConfig) -> Prepared:
    """Settle a scan; an earlier run in the same folder has frozen its scenes, and they are used again.

    Raises:
        InvalidInputError: Anything the user gave that does not fit; nothing has been written.
    """
    run = RunDirectory(config.output.run)
    begun = _begun(run)
    if begun is not None:
        config = config.as_begun(begun)
    model = fitting(config)
    survey = _surveyed(config, run, begun, model.bands, model.patches)
    prepared = Prepared(config=config, run=run, model=model, survey=survey)
    if begun is None and config.output.base is not None:  # one that was begun can do without
        check_base(RunDirectory(config.output.base), run, prepared.settings)
    return prepared


def foresee(config: ScanConfig, bands: tuple[str, ...] = ()) -> Foreseen:
    """What a scan would be with a checkpoint that is not there yet.

    Args:
        config: The scan; its checkpoint is not looked at.
        bands: What the network will take; none: LandslideNet's own, and elevation and slope where ``dem`` is given.

    Raises:
        InvalidInputError: As for :func:`prepare`, or an unknown band.
    """
    network = LandslideNetSpec()
    bands = bands or (*network.bands, *(TERRAIN_BANDS if config.dem is not None else ()))
    _check_bands(bands)
    run = RunDirectory(config.output.run)
    begun = _begun(run)
    if begun is not None:
        config = config.as_begun(begun)
    halo = UNSAID["halo"] if config.predict.halo is None else config.predict.halo
    patches = PatchLattice(patch=config.predict.patch or NETWORK_SIDE // network.upsample, halo=halo)
    survey = _surveyed(config, run, begun, bands, patches)
    return Foreseen(config=config, survey=survey, bands=bands)


def _check_bands(bands: tuple[str, ...]) -> None:
    known = (*BAND_NAMES, *TERRAIN_BANDS)
    if wrong := [band for band in bands if band not in known or bands.count(band) > 1]:
        raise InvalidConfigError(
            f"bands {', '.join(wrong)}", expected=f"each once, of {', '.join(known)}", key="--bands"
        )


def _begun(run: RunDirectory) -> object | None:
    """The settings of the run in a folder. Something else there is refused once the folder is to be taken."""
    if not run.exists(RUN):
        return None
    try:
        settings: object = run.claimed()["settings"]
    except RunConflictError:
        return None
    return settings


def fitting(config: ScanConfig) -> ScanModel | NoModel:
    """The checkpoint, which fits what it will be shown; or what a scan without one has."""
    if not isinstance(config.model, CheckpointConfig):
        return no_model(config.output.keep, config.grid)
    return fitting_model(config.model, config.predict, observed_as(config.grid, config.composite, config.dem))


def asked(config: ScanConfig, bands: tuple[str, ...], patches: PatchLattice) -> tuple[Request, Sources]:
    """What is to be observed for a network, and where it is looked for.

    Raises:
        InvalidInputError: The bands do not fit ``dem`` or ``output.keep``, or the region cannot be read.
    """
    if isinstance(config.model, CheckpointConfig):  # else what is kept is what is read, and elevation is for products
        _check_kept(config.output.keep, scene_bands(bands))
        try:
            check_terrain(bands, config.dem)
        except InvalidConfigError as error:
            shown = observed_as(config.grid, config.composite, config.dem)
            raise with_instead(error.at(file=config.model.checkpoint), shown) from error
    request = requested(
        config.region,
        windows=config.windows,
        bands=bands,
        patches=patches,
        grid=config.grid,
        composite=config.composite,
    )
    return request, Sources(catalog=config.catalog, dem=config.dem)


def _check_kept(keep: tuple[str, ...], read: tuple[str, ...]) -> None:
    """Refuse bands that are not read: to read more would take as long again for each, and could change the map.

    Which pixels are observed, and which date a medoid takes them from, depends on all bands that are read.
    """
    if lacking := [band for band in keep if band not in read]:
        left = ", ".join(band for band in keep if band in read)
        raise InvalidConfigError(
            f"bands {', '.join(lacking)}",
            expected=f"of those that the network is shown: {', '.join(read)}",
            cure=f"Keep [{left}], or scan with a checkpoint that is shown the others too.",
            key="output.keep",
        )


def _surveyed(
    config: ScanConfig, run: RunDirectory, begun: object | None, bands: tuple[str, ...], patches: PatchLattice
) -> Survey:
    request, sources = asked(config, bands, patches)
    if begun is None:  # a run that counts in other metres goes on in them
        check_metres(config.grid.crs, request.ground)
    else:
        check_kept(run)
    return settled(request, sources, kept_or_searched(run, request, sources), told=_told(config))


def _told(config: ScanConfig) -> list[Window]:
    """Windows that the base run had too, as it said what is to be noticed of them."""
    if config.output.base is None:
        return []
    there = _begun(RunDirectory(config.output.base))
    known = there.get("windows", ()) if isinstance(there, dict) else ()
    return [window for window, said in zip(config.windows, config.settings()["windows"], strict=True) if said in known]


def result_settings(config: ScanConfig, model: ScanModel | NoModel, request: Request) -> dict[str, Any]:
    """What the result depends on, files by their content."""
    content = config.settings() | model.recorded | {"region_sha256": request.ground_sha256}
    if isinstance(model, ScanModel):
        content["predict"] |= model.passing
    return content


def check_base(base: RunDirectory, run: RunDirectory, settings: Mapping[str, Any]) -> None:
    """Make sure that units can be taken over.

    Args:
        base: Folder of the run that they are of: complete, partial, or at work.
        run: The folder that they are to go into.
        settings: Of the run that takes them, as it records them.

    Raises:
        InvalidConfigError: Both are the same.
        RunConflictError: There is no scan, or one of other settings.
    """
    if base.url.rstrip("/") == run.url.rstrip("/"):
        raise InvalidConfigError(
            "the run itself", expected="the folder of another run", cure="--resume goes on with one.", key="output.base"
        )
    try:
        known = base.claimed()
        there = known["settings"] if isinstance(known["settings"], dict) else {}
        base.match("scan", {**settings, **{key: there[key] for key in OF_UNITS if key in there}})
    except RunConflictError as error:
        raise RunConflictError(
            error.found,
            expected="a scan of the same settings, but for region and windows",
            cure="Give such a run, or leave output.base out: then all is scanned.",
            key="output.base",
            **error.where,
        ) from error
