"""An agency of made earthquakes whose answers can be changed, and cycles over its events; no scene is anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from helpers.quakes import ORIGIN, bell, collection, feature, grid_xml, product
from helpers.webserver import Answer, Asked, site

from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.telling import status_lines
from landslide_scale.rapid.watching import Attended, once
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

NONE = Workers(scan=None, export=None)  # type: ignore[arg-type]
"""Nothing is scanned where there is no scene."""

GRIDS = {
    "weak": (6.8, 14.0, 46.5),
    "strong": (8.5, 14.0, 46.5),
    "below": (5.0, 14.0, 46.5),
    "sea": (8.5, -130.0, -30.0),  # of the middle of the Pacific
    "turn": (8.5, 179.5, -16.5),  # of Fiji, on both sides of the antimeridian
}
"""ShakeMaps of the agency, beside ``wide``: the strongest shaking, and the corner in the northwest."""


@dataclass(kw_only=True)
class Agency:
    """A service of earthquakes, whose answers can be changed.

    Attributes:
        answers: By path.
        address: Its own.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    address: str = ""

    def tell(self, *names: str, **properties: object) -> None:
        self.answers["/feed"] = Answer.of_json(collection(*(self._of(name, properties) for name in names)))

    def _of(self, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        return feature(name, detail=f"{self.address}/detail/{name}", **properties)

    def detail(self, name: str, *shakemaps: tuple[str, float], **properties: object) -> None:
        """Of an event, with ShakeMaps: the file of each and how many hours after the origin it was published."""
        known = [
            product(
                "us",
                100,
                int((ORIGIN + timedelta(hours=hours)).timestamp() * 1000),
                contents={"download/grid.xml": f"{self.address}/{file}.xml"},
                properties={"version": str(number + 1)},
            )
            for number, (file, hours) in enumerate(shakemaps)
        ]
        found = feature(name, products={"shakemap": known}, **properties)
        self.answers[f"/detail/{name}"] = Answer.of_json(found)


@contextmanager
def agencies() -> Iterator[Agency]:
    known = Agency()
    for name, (strongest, west, north) in GRIDS.items():
        grid = grid_xml(bell(21, 21, strongest, 8), west=west, north=north)
        known.answers[f"/{name}.xml"] = Answer(content=grid)
    known.answers["/wide.xml"] = Answer(content=grid_xml(np.full((81, 81), 7.0), west=10.0, north=48.0))

    def answer(asked: Asked) -> Answer:
        return known.answers.get(asked.path, Answer(status=404))

    with site(answer) as running:
        known.address = running.address
        yield known


@dataclass(kw_only=True)
class Run:
    """Cycles over an agency's events, whose catalogue has no Items."""

    folder: Path
    agency: Agency
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> RapidConfig:
        items = self.folder / "items.json"
        items.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
        events = {
            "url": f"{self.agency.address}/feed",
            "detail": f"{self.agency.address}/detail/{{id}}",
            "days_back": 30,
        }
        settings = {
            "events": events,
            "catalog": {"items": str(items), "profile": "plain", "collection": "made"},
            "model": "none",
            "output": {"run": str(self.folder / "run")},
        }
        return parse(RapidConfig, settings | self.changes)

    @property
    def root(self) -> RunDirectory:
        return RunDirectory(str(self.folder / "run"))

    def cycle(self, hours: float) -> Attended:
        return once(self.config, NONE, clock=lambda: ORIGIN + timedelta(hours=hours))

    def states(self) -> dict[str, str]:
        return {name: self.said(name)["state"] for name in self.root.folders("events")}

    def said(self, name: str, file: str = "event.json") -> dict[str, Any]:
        return dict(self.root.read_json(f"events/{name}/{file}"))

    def status(self) -> str:
        return "\n".join(status_lines(self.root))
