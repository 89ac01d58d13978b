"""From a finished scan of an event to a version of it: what is put into its folder, and what it says in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from landslide_scale.exporting.bench import at_hand
from landslide_scale.exporting.manifest import Manifest
from landslide_scale.exporting.settings import ExportSettings, Heritage
from landslide_scale.products import names
from landslide_scale.products.change.settings import Change
from landslide_scale.products.passes import hidden_geojson, hidden_tiles_of
from landslide_scale.products.scanned import scanned
from landslide_scale.products.vectors.geoparquet import parts
from landslide_scale.rapid import monty, verdicts
from landslide_scale.rapid.configuration import RapidConfig
from landslide_scale.rapid.emsnames import Kind, copy, ems_names
from landslide_scale.rapid.history import write_history
from landslide_scale.rapid.known import Followed, State
from landslide_scale.rapid.mapping import AFTER, BEFORE, Seen, Workers, area_sha256, asked_sha256
from landslide_scale.rapid.overview import overview
from landslide_scale.rapid.publishing import Begun, Said, Step, begin, publish
from landslide_scale.rapid.version import (
    Difference,
    Figures,
    MadeOf,
    Mapped,
    Version,
    difference,
    folder_of,
    read_latest,
    read_version,
)
from landslide_scale.stac.frozen import load_items
from landslide_scale.stac.items import Item
from landslide_scale.storage.rundir import RunDirectory

AREA, FAILURE, PASSES = "area.geojson", "ground_failure.json", "next_passes.geojson"
"""In a version's folder: ground to be looked at; what the event's landslide model says; passes over what is hidden."""

_REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a version says besides its map.

    Attributes:
        known: The event.
        failure: Its landslide model, as published; None without one.
        items: Of scenes around it, by which passes are foreseen.
    """

    known: Followed
    failure: Mapping[str, Any] | None
    items: Sequence[Item] = ()

    @property
    def subject(self) -> monty.Subject:
        """The event as Items tell it."""
        event, area = self.known.event, self.known.area
        assert area is not None  # noqa: S101 a version is of some ground
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


def release_first(folder: RunDirectory, config: RapidConfig, ground: Ground, now: datetime) -> None:
    """Publish what is known before any scene: where to look, what clouds still hide (all of it), and when to see it.

    Args:
        folder: The event's.
        config: Who publishes.
        ground: What is known.
        now: The instant that it will say.
    """
    if read_latest(folder) is not None:
        return
    area = ground.known.area
    assert area is not None  # noqa: S101 a version is of some ground
    begun = begin(folder, ground.known.event.id, MadeOf(run="", cube_sha256="", area_sha256=area_sha256(area)), now)
    if begun is None:
        return
    figures = Figures(asked_km2=area.km2, observed_km2=0.0, hidden_km2=area.km2)
    page = overview(ground.known, ground.failure, figures, begun.published)
    steps = [*_of_ground(ground), Step(name=names.REPORT, do=lambda target: target.write(names.REPORT, page))]
    _published(folder, config, ground, begun, steps, lambda _: Said(figures=figures), state="no scene")


def release(
    folder: RunDirectory,
    config: RapidConfig,
    workers: Workers,
    ground: Ground,
    how_much: Seen,
    *,
    now: datetime,
    state: State,
) -> None:
    """Publish the newest scan of an event, unless nothing of it is new.

    Args:
        folder: The event's.
        config: Who publishes, and how before and after are compared.
        workers: What exports.
        ground: What is known.
        how_much: Of it was seen.
        now: The instant that a new version will say.
        state: What the event is at.
    """
    known = ground.known
    assert known.area is not None and known.asked is not None  # noqa: S101, PT018 there is a scan
    run = RunDirectory(folder.at(known.asked.folder))
    compared: dict[str, Any] = {**config.comparison.model_dump(), "finished": state == "ended"}
    made_of = MadeOf(
        run=known.asked.folder,
        cube_sha256=(cube := scanned(run).cube_sha256),
        area_sha256=known.asked.area_sha256,
        asked_sha256=asked_sha256(compared),
        verdicts=verdicts.newest(folder),
        confirmed_by=verdicts.confirmed_by(folder, cube, known.asked.area_sha256),
    )
    begun = begin(folder, known.event.id, made_of, now)
    if begun is None:
        return
    export = partial(_export, folder, config, workers, run, begun, compared)
    steps = [Step(name="products", do=export), *_of_ground(ground), *_ems(folder, config, begun)]
    _published(folder, config, ground, begun, steps, partial(_said, folder, begun, how_much, config), state=state)


def _published(
    folder: RunDirectory,
    config: RapidConfig,
    ground: Ground,
    begun: Begun,
    steps: Sequence[Step],
    said: Any,  # noqa: ANN401
    *,
    state: State,
) -> None:
    def items(version: Version) -> dict[str, bytes]:
        stage = monty.Stage(observed_before=_observed_before(folder, begun.number), ended=state == "ended")
        return monty.items(
            version, ground.subject, config.publish.producer.told, stage, derived_from=_scenes(folder, begun)
        )

    publish(folder, begun, steps=steps, said=said, items=items, event_state=state)
    write_history(folder)


def _of_ground(ground: Ground) -> list[Step]:
    """What is put beside a map: the ground, what its landslide model says, and when hidden ground is seen again."""
    area = ground.known.area
    assert area is not None  # noqa: S101 a version is of some ground
    feature = (json.dumps(area.as_feature(), indent=1) + "\n").encode()
    steps = [Step(name=AREA, do=lambda target: target.write(AREA, feature))]
    if ground.failure is not None:
        said = (json.dumps(ground.failure, indent=1, sort_keys=True) + "\n").encode()
        steps.append(Step(name=FAILURE, do=lambda target: target.write(FAILURE, said)))
    if ground.items:
        passes = hidden_geojson(hidden_tiles_of(ground.items, area.ground))
        steps.append(Step(name=PASSES, do=lambda target: target.write(PASSES, passes)))
    return steps


def _export(
    folder: RunDirectory,
    config: RapidConfig,
    workers: Workers,
    run: RunDirectory,
    begun: Begun,
    compared: Mapping[str, Any],
    target: RunDirectory,
) -> None:
    earlier = _mapped_before(folder, begun)
    heritage = None
    if earlier is not None:
        applied = read_version(folder, begun.number - 1).made_of.verdicts
        judgements = verdicts.judgements_of(folder, applied=applied, until=begun.made_of.verdicts)
        heritage = Heritage(earlier=earlier, judgements=judgements, rules=config.publish.tracking.rules)
    change = Change(before=BEFORE, after=AFTER, earlier=earlier, **compared)
    workers.export(run, ExportSettings(to=target.url, change=change, heritage=heritage))


def _mapped_before(folder: RunDirectory, begun: Begun) -> str | None:
    """URL of the products of the version before; None where it had no map."""
    if begun.earlier is None or not read_version(folder, begun.earlier).made_of.run:
        return None
    return folder.at(folder_of(begun.earlier))


def _ems(folder: RunDirectory, config: RapidConfig, begun: Begun) -> list[Step]:
    wanted = config.publish.ems_names
    if wanted is None:
        return []
    before = _observed_before(folder, begun.number)
    kind = Kind(
        response="eo-mon" if before else "eo-fep",
        monitoring=before or None,
        release=begun.release,
        version=begun.version,
    )
    return [Step(name="names of Copernicus EMS", do=lambda target: copy(target, ems_names(kind, wanted)))]


def _said(folder: RunDirectory, begun: Begun, how_much: Seen, config: RapidConfig, target: RunDirectory) -> Said:
    now, rejected = _landslides(target)
    earlier = _mapped_before(folder, begun)
    before = None if begun.earlier is None else read_version(folder, begun.earlier)
    change: Difference | None = None
    if before is not None:
        known, _ = _landslides(RunDirectory(earlier)) if earlier is not None else ({}, set())
        newly = max(0.0, how_much.observed_km2 - before.figures.observed_km2)
        share = config.publish.tracking.grown
        change = difference(known, now, newly_observed_km2=newly, share=share)
    standing = [one.area_m2 / 1e6 for name, one in now.items() if name not in rejected]
    judgements = verdicts.judgements_of(folder, until=begun.made_of.verdicts)
    return Said(
        figures=Figures(
            asked_km2=how_much.asked_km2,
            observed_km2=how_much.observed_km2,
            hidden_km2=max(0.0, how_much.asked_km2 - how_much.observed_km2),
            landslides=len(standing),
            landslide_km2=sum(standing),
        ),
        difference=change,
        unapplied=tuple(sorted({one.id for one in judgements} - now.keys())),
    )


def _landslides(target: RunDirectory) -> tuple[dict[str, Mapped], set[str]]:
    """The landslides of a version's products by id, and which of them an analyst has rejected."""
    found: dict[str, Mapped] = {}
    rejected: set[str] = set()
    if names.POLYGONS not in Manifest.read(target).files:
        return found, rejected
    with TemporaryDirectory() as folder, at_hand(target, names.POLYGONS, Path(folder)) as path:
        for part in parts(path):
            for row in part.select(["id", "area_m2", "merged", "status"]).to_pylist():
                merged = tuple(name for name in row["merged"].split(",") if name)
                found[row["id"]] = Mapped(area_m2=row["area_m2"], merged=merged)
                rejected |= {row["id"]} if row["status"] == _REJECTED else set()
    return found, rejected


def _observed_before(folder: RunDirectory, number: int) -> int:
    earlier = [read_version(folder, each) for each in range(number)]
    return len({one.release for one in earlier if one.figures.observed_km2 > 0})


def _scenes(folder: RunDirectory, begun: Begun) -> list[str]:
    """Addresses of the Items that a map was made of, as far as they say where they are."""
    if not begun.made_of.run:
        return []
    items = load_items(RunDirectory(folder.at(begun.made_of.run)))
    links = [link for item in items for link in item.get("links", ()) if link.get("rel") == "self"]
    return sorted({str(link["href"]) for link in links})
