"""The made world: one call writes it, a second finds it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
from shapely import Polygon

from landslide_scale.demo.ground.cover import make_cover
from landslide_scale.demo.ground.frame import Frame, to_lonlat
from landslide_scale.demo.ground.lookalikes import cut_forest, cut_quarries, lay_roads
from landslide_scale.demo.ground.losses import Losses, lose
from landslide_scale.demo.ground.scars import make_scars
from landslide_scale.demo.ground.spectra import BANDS
from landslide_scale.demo.ground.surface import make_surface
from landslide_scale.demo.ground.terrain import make_terrain
from landslide_scale.demo.ground.truth import write_labels, write_region, write_truth
from landslide_scale.demo.satellite.items import COLLECTION, make_collection
from landslide_scale.demo.satellite.passes import AFTER, BEFORE, EVENT, PASSES, Pass
from landslide_scale.demo.satellite.scenes import Ground, make_pass
from landslide_scale.demo.satellite.sensor import Sampler
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.demo.satellite.tiles import TILES
from landslide_scale.errors import InvalidConfigError
from landslide_scale.scene import Window

Side = Literal["west", "east"]
Progress = Callable[[str], None]
_FORMAT = 1
_MOST_LANDSLIDE = 0.02


@dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """What world to make; one spec always gives the same pixels.

    Attributes:
        frame: The ground; a smaller one, somewhere on the default one, makes a world for a test in seconds.
        passes: The datatakes.
        seed: Of every random draw.
        landslide_share: Landslide area over the area of each region, at most 0.02.
        old_share: Share of the landslides, 0 to 1, that were there before the event.
        losses: What else loses its plants between the passes before the event and those after; None: nothing does.
    """

    frame: Frame = field(default_factory=Frame)
    passes: tuple[Pass, ...] = PASSES
    seed: int = 7
    landslide_share: float = 0.018
    old_share: float = 0.2
    losses: Losses | None = None

    def __post_init__(self) -> None:
        if not 0 < self.landslide_share <= _MOST_LANDSLIDE:
            raise InvalidConfigError(
                f"landslide share {self.landslide_share}",
                expected=f"more than 0 and at most {_MOST_LANDSLIDE}",
                key="landslide_share",
            )
        if not 0 <= self.old_share <= 1:
            raise InvalidConfigError(f"old share {self.old_share}", expected="0 to 1", key="old_share")

    @property
    def digest(self) -> str:
        """SHA-256 of the spec and of the version of what is written."""
        spec = asdict(self)
        if self.losses is None:
            del spec["losses"]  # a world without is what it was before there were any, and is found
        return hashlib.sha256(json.dumps([_FORMAT, spec], sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class World:
    """Where a made world lies and what is true of it.

    The model that scans it sees one window, after the event, in which old scars show as new ones do. So the truth it
    is scored against holds both; the labels' ``age`` and ``fraction_new_*.tif`` tell them apart for a product that
    compares the two windows.

    Attributes:
        directory: Root of all that follows.
        event: Day of the event.
        before, after: Half-open UTC windows on either side of it.
        bands: Bands every Item has, beside ``scl``.
        collection: The Collection's id.
    """

    directory: Path
    event: date = EVENT
    before: Window = BEFORE
    after: Window = AFTER
    bands: tuple[str, ...] = BANDS
    collection: str = COLLECTION

    def region(self, side: Side) -> Path:
        """GeoJSON polygon (degrees) of the labelled west or the unlabelled east."""
        return self.directory / "truth" / f"region_{side}.geojson"

    def labels(self, side: Side) -> Path:
        """GeoJSON polygons (degrees) of the landslides of one side, with id, age and area_m2."""
        return self.directory / "truth" / f"labels_{side}.geojson"

    def fraction(self, epsg: int, *, new_only: bool = False) -> Path:
        """COG of the percent (uint8, 255 off the ground) of each 10 m pixel of one zone under landslides."""
        return self.directory / "truth" / f"fraction_{'new_' if new_only else ''}{epsg}.tif"

    def items(self) -> list[dict[str, Any]]:
        """Every Item, sorted by id; asset hrefs are absolute paths."""
        return [json.loads(path.read_text("utf-8")) for path in sorted((self.directory / "items").glob("*.json"))]

    def collections(self) -> list[dict[str, Any]]:
        """The one Collection."""
        return [json.loads((self.directory / "collection.json").read_text("utf-8"))]


@contextmanager
def catalog_server(world: World) -> Iterator[str]:
    """Serve the world's Items by a real STAC API; yields its address. Errors as :func:`stac_server.serve`."""
    with serve(world.items(), world.collections()) as url:
        yield url


def make_world(directory: Path, spec: WorldSpec, *, progress: Progress) -> World:
    """Make the world in `directory`, or find the one the same spec made there.

    Args:
        directory: Made where it is missing; holds collection.json, items/, assets/ and truth/.
        spec: What to make.
        progress: Called with a line of text at every step.

    Raises:
        BrokenRunError: The ground has no room for the landslides asked for.
    """
    directory = directory.resolve()
    marker = directory / "complete.txt"
    mark = f"{spec.digest}\n{directory}\n"  # hrefs are absolute: a directory that was moved is made anew
    if marker.exists() and marker.read_text("utf-8") == mark:
        progress(f"found the made world in {directory}")
        return World(directory=directory)
    marker.unlink(missing_ok=True)
    _make(directory, spec, progress)
    marker.write_text(mark, encoding="utf-8")
    return World(directory=directory)


def regions(frame: Frame) -> Mapping[Side, Polygon]:
    """West and east half in the frame's CRS, apart from each other and from the edge of the ground by 320 m or more."""
    half = frame.width_m / 2
    return {"west": frame.rectangle(0, half, 320), "east": frame.rectangle(half, frame.width_m, 320)}


def _make(directory: Path, spec: WorldSpec, progress: Progress) -> None:
    ground = _ground(directory, spec, progress)
    for folder in (directory / "items", directory / "assets"):
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        done = pool.map(lambda each: make_pass(ground, each, directory / "assets"), spec.passes)
        for number, (each, items) in enumerate(zip(spec.passes, done, strict=True), start=1):
            for item in items:
                (directory / "items" / f"{item['id']}.json").write_text(json.dumps(item, indent=1), "utf-8")
            progress(f"made the pass of {each.sensed:%Y-%m-%d} ({number} of {len(spec.passes)})")
    lonlat = to_lonlat(ground.frame.rectangle(0, ground.frame.width_m, 0), ground.frame.epsg, step_m=2000.0)
    start, end = (f"{each.sensed:%Y-%m-%dT%H:%M:%SZ}" for each in (spec.passes[0], spec.passes[-1]))
    collection = make_collection(lonlat.bounds, start, end)
    (directory / "collection.json").write_text(json.dumps(collection, indent=1), "utf-8")


def _ground(directory: Path, spec: WorldSpec, progress: Progress) -> Ground:
    frame, seed = spec.frame, spec.seed
    progress("raising mountains and cutting valleys")
    terrain = make_terrain(frame, seed)
    cover = make_cover(frame, terrain, seed)
    progress("adding what looks like a landslide and is none")
    cut_quarries(cover, frame, terrain, seed)
    cut_forest(cover, frame, terrain, seed)
    paved, track = lay_roads(cover, frame, terrain, seed)
    earlier = None if spec.losses is None else lose(cover, frame, terrain, seed, spec.losses)
    sides = regions(frame)
    scars = make_scars(frame, terrain, sides, seed=seed, share=spec.landslide_share, old=spec.old_share)
    progress(f"letting {len(scars)} landslides go, {sum(s.age == 'old' for s in scars)} of them before the first scene")
    for side, region in sides.items():
        write_labels(directory / "truth" / f"labels_{side}.geojson", frame, [s for s in scars if s.side == side])
        write_region(directory / "truth" / f"region_{side}.geojson", frame, region, side)
    write_truth(directory / "truth", frame, scars)
    after = make_surface(frame, cover, scars, paved=paved, track=track, seed=seed)
    before = after if earlier is None else make_surface(frame, earlier, scars, paved=paved, track=track, seed=seed)
    return Ground(
        frame=frame,
        terrain=terrain,
        before=before,
        after=after,
        samplers=[Sampler.of(frame, tile) for tile in TILES],
        crowns=np.array([scar.path[0] for scar in scars]),
        seed=seed,
    )
