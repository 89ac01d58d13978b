"""Made cubes: a scan's folder as a scan leaves it, of any pixels, without a scene, a network or a catalogue.

Give the blocks and what is in each, and get the folder: ``made(folder, places(EXTENTS), painted)``. Pixels that the
zone does not own, or that lie outside the region, are not scanned, as in a real cube.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import NEVER, Reason
from landslide_scale.cube import arrays, template
from landslide_scale.cube.arrays import PROBABILITY_SCALE, Layer
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record, describe
from landslide_scale.cube.reflectance import FILL
from landslide_scale.cube.settings import GridConfig
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.scan import layout
from landslide_scale.scan.layout import CUBE, REGION, UNITS, Layout
from landslide_scale.scan.plan import Place
from landslide_scale.scene import Window, utc
from landslide_scale.storage.folder import Folder
from landslide_scale.storage.rundir import RunDirectory

GLOBE = shapely.box(-180.0, -90.0, 180.0, 90.0)

BEFORE = Window(start=utc("2023-06-01"), end=utc("2023-07-01"))
AFTER = Window(start=utc("2023-07-01"), end=utc("2023-08-01"))

SCENE = {"id": "S2A_MADE_20230720", "offset": -1000, "rule": "made; pixels agree (made)", "resampled": False}
"""What a record says of a scene that was used."""

Paint = Callable[[Place], Layer | None]
"""What is in a unit, arrays (block, block); None for a unit that failed."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a made cube is laid out, and what its run says of itself.

    Attributes:
        windows: The layers.
        block, chunk: Sides in pixels; the least of both is 16.
        resolution: Side of a pixel in metres.
        sharded: One object per block and variable, or one per chunk.
        region: Ground that was asked for, degrees.
        threshold: The checkpoint's.
        scenes: What the record of every unit says of its scenes.
        attributes: Further ones of the cube.
        settings: Further ones of the run.
        kept: Bands that the cube keeps.
        learned: Whether a network looked at it; else its cube says of no checkpoint and no threshold.
    """

    windows: tuple[Window, ...] = (AFTER,)
    block: int = 16
    chunk: int = 16
    resolution: int = 10
    sharded: bool = True
    region: BaseGeometry = GLOBE
    threshold: float = 0.5
    scenes: tuple[Mapping[str, Any], ...] = (SCENE,)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    learned: bool = True

    @property
    def network(self) -> dict[str, Any]:
        """What run and cube say of a checkpoint."""
        return {"checkpoint_sha256": "0" * 64} if self.learned else {}

    @property
    def grid(self) -> GridConfig:
        """The section of the configuration."""
        return GridConfig(resolution=self.resolution, block=self.block, chunk=self.chunk)

    def lattice(self, number: int, *, southern: bool = False) -> Lattice:
        """Of a UTM zone."""
        zone = Zone.utm(number, southern=southern)
        return Lattice(zone=zone, resolution=self.resolution, block=self.block)

    def blocks(self, box: PixelBox) -> tuple[Block, ...]:
        """Blocks that hold `box`, row by row."""
        side = self.block
        rows = range(box.row_start // side, -(-box.row_stop // side))
        return tuple(
            Block(row=row, col=col) for row in rows for col in range(box.col_start // side, -(-box.col_stop // side))
        )

    def places(self, extents: Mapping[Lattice, PixelBox]) -> tuple[Place, ...]:
        """Every unit of every layer that holds pixels of these boxes, in the order of a plan."""
        return tuple(
            Place(lattice=lattice, block=block, layer=layer)
            for lattice, box in extents.items()
            for block in self.blocks(box)
            for layer in range(len(self.windows))
        )


def made(folder: Path, places: Sequence[Place], paint: Paint, how: Made | None = None) -> RunDirectory:
    """The folder of a complete scan, or, where `paint` gives None, of one with failed units.

    Args:
        folder: Where it goes; nothing is there yet.
        places: Its units, in the order that they are stored in.
        paint: What is in each.
        how: Layout and words.
    """
    how = how or Made()
    run = RunDirectory(str(folder))
    said = {
        "windows": [_recorded(window) for window in how.windows],
        "grid": how.grid.model_dump(mode="json"),
        "output": {"sharded": how.sharded, **({"keep": list(how.kept)} if how.kept else {})},
        **how.network,
        **how.settings,
    }
    run.claim("scan", said, resume=False)
    run.write(REGION, shapely.to_geojson(how.region).encode())
    run.write(UNITS, layout.units(_planned(places)))
    laid = layout.load(run)
    words = {"title": "Made", **how.network, **({"threshold": how.threshold} if how.learned else {}), **how.attributes}
    made = template.Template(
        extents=laid.extents, windows=how.windows, grid=how.grid, sharded=how.sharded, attributes=words, bands=how.kept
    )
    created(run.at(CUBE), made)
    records = [_stored(laid, place, paint(place), how) for place in places]
    Ledger(run).gather(records)
    states = [record.state for record in records]
    counts = {one: states.count(one) for one in ("written", "empty", "failed")}
    run.note(
        state="incomplete" if "failed" in states else "complete", units=len(places), caveat="", area=None, **counts
    )
    return run


def created(url: str, what: template.Template) -> None:
    """Lay out a cube, of which nothing is noted; one that is there is given further windows."""
    folder = Folder(url)
    there = {name: folder.read(name) for name in folder.sizes("")}
    for name, content in template.laid(there, what).items():
        if there.get(name) != content:
            folder.write(name, content)


def layer_of(
    probability: NDArray[np.floating[Any]],
    *,
    looks: int | NDArray[np.uint8] = 3,
    day: date = date(2023, 7, 20),
    unseen: Reason = Reason.CLOUD,
) -> Layer:
    """What a unit holds.

    Args:
        probability: (H, W) 0 to 1; NaN is not observed.
        looks: Clear observations of what is observed.
        day: The newest of them.
        unseen: Why the rest is not observed.
    """
    seen = np.isfinite(probability)
    days = (day - date(1970, 1, 1)).days
    return Layer(
        probability=arrays.quantised(probability.astype(np.float32)),
        clear_count=np.where(seen, looks, 0).astype(np.uint8),
        observed_on=np.where(seen, days, NEVER).astype(np.uint16),
        reason=np.where(seen, Reason.OBSERVED, unseen).astype(np.uint8),
    )


def from_arrays(known: Mapping[Lattice, tuple[PixelBox, Layer]]) -> Paint:
    """Paints from one big array for each zone, the same in every layer; where it does not reach, nothing was seen.

    Args:
        known: The box that a zone's arrays cover, and the arrays (H, W).
    """

    def paint(place: Place) -> Layer:
        box, whole = known[place.lattice]
        held = layer_of(np.full(place.box.shape, np.nan, np.float32), unseen=Reason.NO_DATA)
        if (common := place.box.intersection(box)) is not None:
            for variable in arrays.VARIABLES:
                values = getattr(whole, variable.name)[common.within(box)]
                getattr(held, variable.name)[common.within(place.box)] = values
        return held

    return paint


def unowned(lattice: Lattice, box: PixelBox, layer: Layer, region: BaseGeometry = GLOBE) -> Layer:
    """The same with nothing where the zone does not own the ground, or the region does not reach."""
    inside = lattice.inside(box, region)
    held = {variable.name: np.where(inside, getattr(layer, variable.name), np.array(variable.fill, variable.dtype))
            for variable in arrays.VARIABLES}  # fmt: skip
    bands = {name: np.where(inside, values, np.uint16(FILL)) for name, values in layer.bands.items()}
    return Layer(**held, bands=bands)


def _planned(places: Iterable[Place]) -> list[Place]:
    """In the order of a plan, whatever order they are stored in."""
    return sorted(places, key=lambda place: (place.lattice.zone.epsg, place.block, place.layer))


def _stored(laid: Layout, place: Place, layer: Layer | None, how: Made) -> Record:
    if layer is None:
        return Record(unit=place.id, state="failed", error="TryAgainError: made")
    layer = unowned(place.lattice, place.box, layer, how.region)
    stored = arrays.write(laid.slot(place), layer)
    seen = layer.reason == Reason.OBSERVED
    probability = np.where(seen, layer.probability * np.float32(PROBABILITY_SCALE), np.float32(np.nan))
    record = Record(unit=place.id, state="written" if seen.any() else "empty", scenes=tuple(map(dict, how.scenes)))
    return replace(record, stored=stored, **describe(layer, probability, place.lattice.resolution**2 / 1e6))


def _recorded(window: Window) -> dict[str, Any]:
    return asdict(window) | {"start": window.start.isoformat(), "end": window.end.isoformat()}
