"""Every pass over every tile: COGs and Items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from landslide_scale.bands import Scl
from landslide_scale.demo.ground.cover import bilinear_twice
from landslide_scale.demo.ground.frame import CELL_M, FINE_M, Frame
from landslide_scale.demo.ground.light import illumination
from landslide_scale.demo.ground.noise import Field, stream
from landslide_scale.demo.ground.spectra import BANDS
from landslide_scale.demo.ground.surface import Surface, reflectance
from landslide_scale.demo.ground.terrain import Terrain
from landslide_scale.demo.satellite.atmosphere import Sky, classify, make_sky, through_sky
from landslide_scale.demo.satellite.items import CELLS, item_id, make_item
from landslide_scale.demo.satellite.passes import Pass
from landslide_scale.demo.satellite.sensor import Sampler, digital_numbers
from landslide_scale.reading.raster import write_cog

_SWATH_LEAN = 0.24  # metres east per metre north: the edge of a descending orbit's swath
_MISTAKEN_PER_PASS = 3


@dataclass(frozen=True, kw_only=True)
class Ground:
    """All that stays the same between passes of one side of the event.

    Attributes:
        before, after: What covers it on either side; one and the same where only landslides come with the event.
    """

    frame: Frame
    terrain: Terrain
    before: Surface
    after: Surface
    samplers: Sequence[Sampler]
    crowns: NDArray[np.float64]
    seed: int

    def surface(self, satellite_pass: Pass) -> Surface:
        """As that pass finds it."""
        return self.after if satellite_pass.after else self.before


def make_pass(ground: Ground, satellite_pass: Pass, assets: Path) -> list[dict[str, Any]]:
    """Write one pass's COGs below `assets` and return its Items, one per tile that has data."""
    rng = stream(ground.seed, f"sky {satellite_pass.sensed.isoformat()}")
    light, shadow = illumination(
        ground.terrain.height, azimuth=satellite_pass.azimuth, elevation=satellite_pass.elevation
    )
    sky = make_sky(
        rng, light.shape, cover=satellite_pass.cloud, azimuth=satellite_pass.azimuth,
        elevation=satellite_pass.elevation, haze=satellite_pass.haze,
    )  # fmt: skip
    scl = _classes(ground, satellite_pass, sky, shadow, rng)
    views = [view for view in (_view(s, satellite_pass, scl) for s in ground.samplers) if view.valid.any()]
    surface = ground.surface(satellite_pass)
    fine_light = bilinear_twice(light)
    fine_sky = Sky(cloud=bilinear_twice(sky.cloud), shadow=bilinear_twice(sky.shadow), haze=sky.haze)
    for band in BANDS:
        bare = reflectance(surface, band, satellite_pass.sensed.date(), fine_light, after=satellite_pass.after)
        seen = through_sky(bare, band, fine_sky)
        for view in views:
            _write_band(view, band, seen, assets, ground.seed)
    return [_item(view, assets) for view in views]


@dataclass(frozen=True, kw_only=True)
class _View:
    """One tile in one pass: `valid` and `scl` are (side, side) of 20 m pixels."""

    satellite_pass: Pass
    sampler: Sampler
    valid: NDArray[np.bool_]
    scl: NDArray[np.uint8]
    swath: Polygon

    @property
    def name(self) -> str:
        return item_id(self.satellite_pass, self.sampler.tile)


def _view(sampler: Sampler, satellite_pass: Pass, scl: NDArray[np.uint8]) -> _View:
    """Decide validity at 20 m, so that bands of every pixel size end at the same edge."""
    swath = swath_outline(sampler.frame, satellite_pass.swath_from)
    x, y = sampler.tile.centres(sampler.frame, CELLS["scl"])
    shapely.prepare(swath)
    valid = sampler.grounded(CELLS["scl"]) & shapely.contains_xy(swath, x, y)
    classes = np.where(valid, sampler.nearest(scl, CELLS["scl"]), Scl.NO_DATA).astype(np.uint8)
    return _View(satellite_pass=satellite_pass, sampler=sampler, valid=valid, scl=classes, swath=swath)


def swath_outline(frame: Frame, swath_from: float) -> Polygon:
    """The part of the ground the sensor saw, frame CRS; its western edge leans as a descending orbit's does."""
    edge = frame.left + swath_from * frame.width_m
    lean = _SWATH_LEAN * frame.height_m / 2
    bottom, right = frame.top - frame.height_m, frame.left + frame.width_m
    if swath_from == 0:
        return frame.rectangle(0, frame.width_m, 0)
    return Polygon([(edge + lean, frame.top), (right, frame.top), (right, bottom), (edge - lean, bottom)])


def _classes(
    ground: Ground, satellite_pass: Pass, sky: Sky, shadow: Field, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Scene classes on the frame's 10 m cells."""
    surface = ground.surface(satellite_pass)
    cells = surface.after if satellite_pass.after else surface.before
    scar = np.zeros(surface.cover.shape, dtype=np.float32)
    scar.reshape(-1)[cells.index] = cells.share
    scar = scar[::2, ::2]
    near = np.zeros(scar.shape, dtype=np.bool_)
    for x, y in ground.crowns[rng.integers(len(ground.crowns), size=_MISTAKEN_PER_PASS)]:
        row, column = int((ground.frame.top - y) / CELL_M), int((x - ground.frame.left) / CELL_M)
        near[max(0, row - 15) : row + 15, max(0, column - 15) : column + 15] = True
    return classify(surface.cover[::2, ::2], scar, sky, shadow, near & (scar > 0.5))  # noqa: PLR2004


def _write_band(view: _View, band: str, seen: Field, assets: Path, seed: int) -> None:
    tile, cell = view.sampler.tile, CELLS[band]
    factor = CELLS["scl"] // cell
    valid = view.valid.repeat(factor, axis=0).repeat(factor, axis=1)
    sampled = view.sampler.mean(seen, cell, view.satellite_pass.shift)
    numbers = digital_numbers(sampled, valid, stream(seed, f"noise {view.name} {band}"))
    write_cog(assets / view.name / f"{band}.tif", numbers, epsg=tile.epsg, transform=tile.transform(cell), nodata=0)


def _item(view: _View, assets: Path) -> dict[str, Any]:
    tile, folder = view.sampler.tile, (assets / view.name).resolve()
    write_cog(folder / "scl.tif", view.scl, epsg=tile.epsg, transform=tile.transform(CELLS["scl"]), nodata=0)
    cloudy = np.isin(view.scl, (Scl.CLOUD_MEDIUM, Scl.CLOUD_HIGH, Scl.CIRRUS))
    return make_item(
        view.satellite_pass,
        tile,
        {asset: str(folder / f"{asset}.tif") for asset in CELLS},
        _footprint(view),
        clouds=round(100 * float(cloudy.sum() / view.valid.sum()), 4),
        nodata=round(100 * float(1 - view.valid.mean()), 4),
    )


def _footprint(view: _View) -> Polygon:
    """Ground the swath saw that lies on the tile, in the tile's CRS."""
    change = pyproj.Transformer.from_crs(view.sampler.frame.epsg, view.sampler.tile.epsg, always_xy=True)
    dense = shapely.segmentize(view.swath.buffer(-FINE_M), 500.0)
    there = shapely.transform(dense, lambda p: np.column_stack(change.transform(p[:, 0], p[:, 1])))
    seen = shapely.intersection(there, view.sampler.tile.outline)
    return Polygon(shapely.get_coordinates(shapely.get_exterior_ring(shapely.simplify(seen, 0.5))))
