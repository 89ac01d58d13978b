"""From Items to a plan: they become scenes, are asked where their catalogue is in doubt, and planned.

A scan, its resumption, its further windows and the making of chips all walk this line; each value is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial

from landslide_scale.bands import scene_bands
from landslide_scale.costs.took import Work
from landslide_scale.cube import manifest
from landslide_scale.errors import InvalidCatalogError
from landslide_scale.imagery.witness import ask_pixels
from landslide_scale.scan import plan
from landslide_scale.scan.noticed import check_dates, few_dates, repeated
from landslide_scale.scan.plan import Plan, WorkUnit
from landslide_scale.scan.rounds import shortage
from landslide_scale.scan.searching import Found, Request, Sources
from landslide_scale.scene import Scene, Unused, Window
from landslide_scale.stac.aside import ASIDE, EXCLUDED, NOTHING_ASIDE, SetAside, written_down
from landslide_scale.stac.dem import DemTile, tiles
from landslide_scale.stac.frozen import DEM, SCENES, frozen
from landslide_scale.stac.holding.packed import Packing
from landslide_scale.stac.items import (
    Item,
    scenes,
    sorted_out,
    told,
    unused,
    with_evidence,
    witness_assets,
)
from landslide_scale.stac.radiometry import Evidence, confronted
from landslide_scale.stac.revisit import few_scenes, no_scene
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.rundir import RUN, RunDirectory


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a plan is made of.

    Attributes:
        request: What was asked for.
        catalog: Where the Items of scenes are from.
        items: Of scenes, with what the pixels of doubtful ones say.
        dem: Of the elevation model.
        scenes: What the Items are, those in quarantine too.
        elevations: What the elevation model's are.
        aside: Scenes that are not used, whatever they are like otherwise.
    """

    request: Request
    catalog: CatalogConfig
    items: tuple[Item, ...]
    dem: tuple[Item, ...]
    scenes: tuple[Scene, ...]
    elevations: tuple[DemTile, ...]
    aside: SetAside


@dataclass(frozen=True, kw_only=True)
class Survey(Known):
    """Work that can be begun.

    Attributes:
        plan: The work units.
        asked: Whether pixels were asked just now, so that the Items say more than was kept of them.
        noticed: What a person should look at before the work is begun: of windows that were searched, where any were.
    """

    plan: Plan
    asked: bool
    noticed: tuple[str, ...] = ()

    @property
    def bytes_to_read(self) -> int:
        """Pixels of scenes once uncompressed; those by which a mask tells what persists are read twice."""
        return self.plan.bytes_to_read(*self._assets)

    def work(self, *, predicted: bool, some: Iterable[WorkUnit] | None = None) -> Work:
        """How much work the units are, or some of them; ``predicted``: where a network is shown them."""
        return self.plan.work(*self._assets, predicted=predicted, some=some)

    @property
    def _assets(self) -> tuple[int, int]:
        composite = self.request.composite
        times = 1 if composite.persistence is None else 2
        return len(scene_bands(self.request.bands)), times * len(composite.assets)


def settled(request: Request, sources: Sources, found: Found, told: Collection[Window] = ()) -> Survey:
    """Scenes and elevation tiles of the Items, the doubtful new ones asked, and the plan of all of them.

    A new Item that lacks what is read of it is set aside.

    Args:
        request: What is to be observed.
        sources: Where Items are from.
        found: They.
        told: Windows of which an earlier run has said what a person should look at.

    Raises:
        InvalidCatalogError: Too few scenes are left of the windows that were searched, or a frozen Item lacks what is
            read of it.
        InvalidConfigError: No window has dates enough for the test of persistence.
    """
    catalog, bands = sources.catalog, request.read
    out = {*catalog.exclude, *(scene.id for scene in found.aside.excluded)}
    new = sorted_out((item for item in found.new if not _is_of(item, out)), catalog, bands)
    excluded = [unused(item, catalog, EXCLUDED) for item in (*found.frozen, *found.new) if _is_of(item, out)]
    aside = SetAside(
        rejected=_each_once([*found.aside.rejected, *new.rejected]),
        excluded=_each_once([*found.aside.excluded, *excluded]),
        unreadable=found.aside.unreadable,
    )
    known = scenes((item for item in found.frozen if not _is_of(item, out)), catalog, bands)
    survey = _surveyed(
        Known(
            request=request,
            catalog=catalog,
            items=(*found.frozen, *new.items),
            dem=found.dem,
            scenes=(*_quarantined(known, aside.unreadable), *new.scenes),
            elevations=() if sources.dem is None else tuple(tiles(found.dem, sources.dem)),
            aside=aside,
        ),
        new={scene.id for scene in new.scenes},
    )
    _check_enough(survey, catalog, found.searched)
    if found.searched:
        check_dates(survey.plan, request.composite)
    windows, every = found.searched or request.windows, (*found.frozen, *found.new)
    untold = [window for window in windows if window not in told]
    few = few_scenes(every, request.ground, untold, catalog, until=datetime.now(UTC))
    return replace(survey, noticed=(*few, *few_dates(survey.plan, request.composite), *repeated(survey.plan)))


def without(survey: Survey, unreadable: Mapping[str, str]) -> Survey:
    """The same work without further scenes, of which something cannot be read: why, by id."""
    known = {one.name: getattr(survey, one.name) for one in fields(Known)}
    known["aside"] = replace(survey.aside, unreadable={**survey.aside.unreadable, **unreadable})
    known["scenes"] = _quarantined(survey.scenes, unreadable)
    return _surveyed(Known(**known), new=())


def kept(run: RunDirectory, survey: Survey, *, grown: bool = False) -> dict[str, bytes | None]:
    """Items and decisions as the folder of a run is to hold them, by name and in this order; None: not at all.

    Of Items what is there, and sound, stays as it is, unless the survey was `grown`. They come last where they were not
    there, for they say that it is done; what was asked of pixels since comes before the decision that it was asked for.
    """
    there = manifest.sound(run, (SCENES, DEM)) if run.exists(RUN) else {}
    known = SCENES in there
    dem: dict[str, bytes | None] = {DEM: there.get(DEM) or frozen(survey.dem)} if survey.dem else {}
    scenes: dict[str, bytes | None] = {
        SCENES: there[SCENES] if known and not survey.asked and not grown else frozen(survey.items)
    }
    aside: dict[str, bytes | None] = {
        ASIDE: written_down(survey.aside) if survey.aside != NOTHING_ASIDE or run.exists(ASIDE) else None
    }
    return dem | (scenes | aside if known and not grown else aside | scenes)


def _is_of(item: Item, ids: Collection[str]) -> bool:
    return isinstance(item.get("id"), str) and item["id"] in ids


def _each_once(found: Iterable[Unused]) -> tuple[Unused, ...]:
    by_id = {scene.id: scene for scene in found}
    return tuple(by_id[name] for name in sorted(by_id))


def _quarantined(known: Iterable[Scene], reasons: Mapping[str, str]) -> tuple[Scene, ...]:
    return tuple(replace(scene, quarantine=reasons[scene.id]) if scene.id in reasons else scene for scene in known)


def _surveyed(known: Known, *, new: Collection[str]) -> Survey:
    """The plan of what is known, once the scenes in doubt that it reads were asked.

    Of those that are not `new`, a run asks those that it did not read before, in the place of one that is set aside. A
    run of before any were asked goes on without.
    """
    doubtful = {scene.id for scene in known.scenes if scene.doubtful}
    asking = not doubtful <= set(new) and any(told(item) for item in known.items)
    unasked = doubtful if asking else doubtful.intersection(new)
    made, judged_scenes, said = judged(known.scenes, unasked, partial(_plan, known), partial(_ask, known))
    packing = Packing()
    items = tuple(
        packing.pack(with_evidence(item, said[item["id"]])) if said and item["id"] in said and not told(item) else item
        for item in known.items
    )
    now = replace(known, items=items, scenes=judged_scenes)
    return Survey(**vars(now), plan=made, asked=bool(said))


def _check_enough(survey: Survey, config: CatalogConfig, searched: Collection[Window]) -> None:
    """Make sure that the windows that were searched have scenes left.

    Raises:
        InvalidCatalogError: They have not.
    """
    made = survey.plan
    layers = [layer for layer, window in enumerate(made.windows) if window in searched]
    on_purpose = {scene.id for scene in survey.aside.excluded}
    unusable = {scene.id for scene in made.quarantined} - on_purpose  # by what their numbers or their catalogue say too
    lacking = shortage(made, survey.aside.bad, config.max_bad, layers) or shortage(made, unusable, 1.0, layers)
    if lacking:
        raise InvalidCatalogError(
            lacking,
            expected=f"a scene in every such window, and at most {config.max_bad:.0%} that cannot be used",
            cure="Set right what is said of it (catalog.profile, catalog.offset); catalog.exclude leaves scenes out on "
            "purpose, catalog.max_bad says how many may be bad.",
        )
    bare = [made.windows[layer] for layer in layers if layer in made.bare]
    if bare and (config.require == "all" or len(made.bare) == len(made.windows)):
        raise no_scene(config, bare[0], survey.request.ground, survey.items)


def _ask(known: Known, doubtful: Sequence[Scene]) -> Mapping[str, Evidence]:
    items = {item["id"]: item for item in known.items}
    found, askable = dict[str, Evidence](), list[Scene]()
    for scene in doubtful:
        try:
            askable.append(replace(scene, assets=witness_assets(items[scene.id], known.catalog)))
        except InvalidCatalogError as error:
            found[scene.id] = Evidence(verdict="unclear", figures=f"not readable: {error.found}")
    return {**found, **ask_pixels(askable)}


def _plan(known: Known, judged_scenes: Sequence[Scene]) -> Plan:
    request, aside = known.request, known.aside
    return plan.make(
        region=request.ground,
        windows=request.windows,
        scenes=judged_scenes,
        grid=request.grid,
        composite=request.composite,
        patches=request.patches,
        dem=known.elevations,
        unused=(*aside.rejected, *aside.excluded),
    )


def judged(
    scenes_known: Iterable[Scene],
    unasked: Iterable[str],
    planned: Callable[[Sequence[Scene]], Plan],
    ask: Callable[[Sequence[Scene]], Mapping[str, Evidence]],
) -> tuple[Plan, tuple[Scene, ...], dict[str, Evidence]]:
    """The plan, once the pixels of those scenes were asked that it reads and whose catalogue may be wrong.

    Args:
        scenes_known: All of them.
        unasked: Ids of those that are to be asked, if they are read.
        planned: Makes the plan.
        ask: Asks the pixels of scenes; gives what they say by id.

    Returns:
        The plan, the scenes as it has them, and what the pixels of each scene that was asked say, by its id.
    """
    known = list(scenes_known)
    left, said = set(unasked), dict[str, Evidence]()
    while True:
        made = planned(known)
        doubtful = [scene for scene in made.scenes if scene.doubtful and scene.id in left]
        if not doubtful:
            return made, tuple(known), said
        # Where a processing alone is planned with, one that is quarantined now gives way to an older one, asked next.
        found = ask(doubtful)
        known = [
            confronted(scene, found[scene.id]) if scene.doubtful and scene.id in found else scene for scene in known
        ]
        said |= found
        left -= found.keys()
