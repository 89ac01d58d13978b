"""From a finished scan of an event to a version of it: what is put into its folder, and what it says in numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from landslide_scale.events.area import Area
from landslide_scale.products import names
from landslide_scale.products.change.settings import Change
from landslide_scale.products.heritage import Heritage, Judgement, layer_of
from landslide_scale.products.passes import hidden_geojson, hidden_tiles_of
from landslide_scale.products.scanned import scanned
from landslide_scale.rapid.known import Followed, State
from landslide_scale.rapid.mapping import AFTER, BEFORE, Export, Making, Seen, area_sha256, asked_sha256
from landslide_scale.rapid.overview import overview
from landslide_scale.rapid.publication import monty, verdicts
from landslide_scale.rapid.publication.emsnames import Kind, copy, ems_names
from landslide_scale.rapid.publication.history import write_history
from landslide_scale.rapid.publication.pace import FIRST, PUBLICATION, Pace, stage_of_product
from landslide_scale.rapid.publication.publishing import Begun, Step, begin, publish
from landslide_scale.rapid.publication.response import Stage, kind_of_response
from landslide_scale.rapid.publication.summing import Ground as Looked
from landslide_scale.rapid.publication.summing import Said, said_of
from landslide_scale.rapid.publication.version import (
    CANDIDATES,
    LANDSLIDES,
    Figures,
    MadeOf,
    Version,
    folder_of,
    read_latest,
    read_version,
)
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.stac.frozen import load_items
from landslide_scale.stac.items import Item
from landslide_scale.storage.owned import read_own_json
from landslide_scale.storage.rundir import RunDirectory

AREA, FAILURE = "area.geojson", "ground_failure.json"
"""In a version's folder: ground to be looked at; what the event's landslide model says."""


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Publishes versions of one event.

    Attributes:
        folder: The event's; nobody else works there.
        config: Who publishes, and how before and after are compared.
        known: The event.
        failure: Its landslide model, as published; None without one.
        items: Of scenes around it, by which passes are foreseen.
        pace: Of the cycle.
    """

    folder: RunDirectory
    config: RapidConfig
    known: Followed
    failure: Mapping[str, Any] | None
    items: Sequence[Item] = ()
    pace: Pace = field(default_factory=Pace)

    @property
    def area(self) -> Area:
        """Ground to be looked at."""
        assert self.known.area is not None  # noqa: S101 a version is of some ground
        return self.known.area

    @property
    def subject(self) -> monty.Subject:
        """The event as Items tell it."""
        event, area = self.known.event, self.area
        version, address = self.known.shakemap
        return monty.Subject(
            id=event.id,
            ids=event.ids,
            title=event.place,
            origin=event.origin,
            lon=event.lon,
            lat=event.lat,
            kind=event.kind,
            ground=area.ground,
            magnitude=event.magnitude,
            url=event.url,
            shakemap=(address, version) if address else None,
            largest_intensity=self.known.max_mmi,
        )


def release_first(by: Publisher, now: datetime) -> None:
    """Publish what is known before any scene: where to look, what clouds still hide (all of it), and when to see it.

    Ground that grew before there was a map is published anew.

    Args:
        by: The publisher.
        now: The instant that it will say.
    """
    by.pace.begin(FIRST)
    latest = read_latest(by.folder)
    if latest is not None and read_version(by.folder, latest.number).made_of.run:
        return
    made_of = MadeOf(run="", cube_sha256="", area_sha256=area_sha256(by.area))
    begun = begin(by.folder, by.known.event.id, made_of, now)
    if begun is None:
        return
    figures = Figures(asked_km2=by.area.km2, observed_km2=0.0, hidden_km2=by.area.km2)
    page = overview(by.known, by.failure, figures, number=begun.number, published=begun.published)
    passes = hidden_geojson(hidden_tiles_of(map(dict, by.items), by.area.ground))  # a map has those over what it lacks
    steps = [
        *_of_ground(by),
        Step(name=names.DUE, do=partial(_write, names.DUE, passes)),
        Step(name=names.REPORT, do=partial(_write, names.REPORT, page)),
    ]
    _publish(by, begun, steps, lambda _: Said(figures=figures), state="no scene")


def release(by: Publisher, export: Export, how_much: Seen, *, now: datetime, state: State) -> None:
    """Publish the newest scan of an event, unless nothing of it is new.

    Args:
        by: The publisher.
        export: Makes the products.
        how_much: Of the ground was seen.
        now: The instant that a new version will say.
        state: What the event is at.
    """
    asked = by.known.asked
    assert asked is not None  # noqa: S101 there is a scan
    by.pace.begin(PUBLICATION)
    run = RunDirectory(by.folder.at(asked.folder))
    compared: dict[str, Any] = {**by.config.comparison.model_dump(), "finished": state == "ended"}
    of = scanned(run)
    cube = of.cube_sha256
    made_of = MadeOf(
        run=asked.folder,
        cube_sha256=cube,
        area_sha256=asked.area_sha256,
        asked_sha256=asked_sha256(compared),
        verdicts=verdicts.newest(by.folder),
        confirmed_by=verdicts.confirmed_by(by.folder, cube, asked.area_sha256),
    )
    begun = begin(by.folder, by.known.event.id, made_of, now)
    if begun is None:
        return

    def making(far: Making) -> None:
        by.pace.begin(stage_of_product(far.current))

    def products(target: RunDirectory) -> None:
        change = Change(before=BEFORE, after=AFTER, earlier=_mapped_before(by.folder, begun), **compared)
        heritage = _heritage(by, begun)
        export(run, to=target.url, change=change, heritage=heritage, dem=by.config.dem, progress=making)

    steps = [Step(name="products", do=products), *_of_ground(by), *_ems(by, begun, ended=state == "ended")]
    looked = Looked(
        layer=layer_of(asked.windows[AFTER].days),
        asked_km2=how_much.asked_km2,
        observed_km2=how_much.observed_km2,
        mapped=LANDSLIDES if of.learned else CANDIDATES,
    )

    def said(_: RunDirectory) -> Said:
        judgements = _judgements(by, begun)
        return said_of(by.folder, begun.number, looked, judgements, share=by.config.publish.tracking.grown)

    _publish(by, begun, steps, said, state=state)


def _publish(
    by: Publisher, begun: Begun, steps: Sequence[Step], said: Callable[[RunDirectory], Said], *, state: State
) -> None:
    def items(version: Version) -> Mapping[str, bytes]:
        stage = Stage(observed_before=_observed_before(by.folder, begun.number), ended=state == "ended")
        producer = by.config.publish.producer.told
        return monty.items(version, by.subject, producer, stage, derived_from=_scenes(by.folder, begun))

    publish(by.folder, begun, steps=steps, said=said, items=items, event_state=state)
    write_history(by.folder, by.known.event.title)


def failure_told(folder: RunDirectory) -> Mapping[str, Any] | None:
    """The landslide model that an event's newest version told of; None where it told of none.

    Raises:
        RunConflictError: The file that says so is damaged.
    """
    latest = read_latest(folder)
    name = "" if latest is None else f"{latest.folder}/{FAILURE}"
    if not (name and folder.exists(name)):
        return None
    return read_own_json(folder, name, dict[str, Any], cure="Bring it back from a copy, or remove it.")


def _of_ground(by: Publisher) -> list[Step]:
    """What is put beside a map: the ground, and what its landslide model says."""
    contents = {AREA: (json.dumps(by.area.as_feature(), indent=1) + "\n").encode()}
    if by.failure is not None:
        contents[FAILURE] = (json.dumps(by.failure, indent=1, sort_keys=True) + "\n").encode()
    return [Step(name=name, do=partial(_write, name, content)) for name, content in contents.items()]


def _write(name: str, content: bytes, target: RunDirectory) -> None:
    target.write(name, content)


def _heritage(by: Publisher, begun: Begun) -> Heritage | None:
    """Whose ids and verdicts landslides have; None of the first map."""
    earlier = _mapped_before(by.folder, begun)
    if earlier is None:
        return None
    return Heritage(earlier=earlier, judgements=_judgements(by, begun), rules=by.config.publish.tracking.rules)


def _judgements(by: Publisher, begun: Begun) -> tuple[Judgement, ...]:
    """What analysts have said, as the version takes it."""
    applied = read_version(by.folder, begun.earlier).made_of.verdicts if begun.earlier is not None else 0
    return verdicts.judgements_of(by.folder, applied=applied, until=begun.made_of.verdicts)


def _mapped_before(folder: RunDirectory, begun: Begun) -> str | None:
    """URL of the products of the version before; None where it had no map."""
    if begun.earlier is None or not read_version(folder, begun.earlier).made_of.run:
        return None
    return folder.at(folder_of(begun.earlier))


def _ems(by: Publisher, begun: Begun, *, ended: bool) -> list[Step]:
    wanted = by.config.publish.ems_names
    if wanted is None:
        return []
    stage = Stage(observed_before=_observed_before(by.folder, begun.number), ended=ended)
    response, monitoring = kind_of_response(stage, seen=True, confirmed=bool(begun.made_of.confirmed_by))
    kind = Kind(response=response, monitoring=monitoring, release=begun.release, version=begun.version)
    return [Step(name="names of Copernicus EMS", do=lambda target: copy(target, ems_names(kind, wanted)))]


def _observed_before(folder: RunDirectory, number: int) -> int:
    earlier = [read_version(folder, each) for each in range(number)]
    return len({one.release for one in earlier if one.figures.observed_km2 > 0})


def _scenes(folder: RunDirectory, begun: Begun) -> list[str]:
    """Addresses of the Items that a map was made of, as far as they say where they are."""
    if not begun.made_of.run:
        return []
    items = load_items(RunDirectory(folder.at(begun.made_of.run)))
    links = [link for item in items for link in item.get("links") or () if link.get("rel") == "self"]
    return sorted({link["href"] for link in links if "://" in str(link.get("href"))})
