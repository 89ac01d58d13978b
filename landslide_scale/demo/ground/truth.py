"""What is true of the made ground: the share of every pixel under scars, and the outlines as labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from landslide_scale.demo.ground.canvas import block_mean
from landslide_scale.demo.ground.frame import CELL_M, TRUTH_M, Frame, lattice_in_frame, to_lonlat
from landslide_scale.demo.ground.scars import Scar
from landslide_scale.demo.ground.surface import scar_numbers
from landslide_scale.reading.raster import write_cog

NO_TRUTH = 255
"""Written where there is no made ground."""
LANDSLIDE_PERCENT = 50
"""A pixel is landslide in the truth from this share on."""
_BORDER = 18.0  # degrees east, between UTM zones 33 and 34
_EAST_EPSG = 32634


def write_truth(folder: Path, frame: Frame, scars: Sequence[Scar]) -> None:
    """Percent of each 10 m pixel under scars, per zone, for all scars and for those the event made.

    Writes ``fraction_32633.tif``, ``fraction_32634.tif`` (all scars that show after the event, old ones too) and
    ``fraction_new_*.tif``: uint8 percent rounded from sixteenths, `NO_TRUTH` off the ground.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = scar_numbers(frame, scars)
    is_new = np.array([False, *(scar.age == "new" for scar in scars)])
    left, bottom, right, top = east_bounds(frame)
    there = _sampled(frame, numbers, (left, bottom, right, top))
    factor = round(CELL_M / TRUTH_M)
    east = (float(CELL_M), 0.0, float(left), 0.0, -float(CELL_M), float(top))
    off = block_mean(there < 0, factor) > 0
    for name, chosen in (("fraction", np.arange(len(is_new)) > 0), ("fraction_new", is_new)):
        here = _percent(block_mean(chosen[numbers], factor))
        write_cog(
            folder / f"{name}_{frame.epsg}.tif",
            here,
            epsg=frame.epsg,
            transform=frame.transform(CELL_M),
            nodata=NO_TRUTH,
        )
        values = _percent(block_mean(chosen[np.maximum(there, 0)], factor))
        values[off] = NO_TRUTH
        path = folder / f"{name}_{_EAST_EPSG}.tif"
        write_cog(path, values, epsg=_EAST_EPSG, transform=east, nodata=NO_TRUTH)


def _percent(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.floor(share * 100 + 0.5), dtype=np.uint8)


def east_bounds(frame: Frame) -> tuple[int, int, int, int]:
    """(left, bottom, right, top) in the eastern zone's CRS of the ground beyond the border, multiples of 60 m."""
    ground = to_lonlat(frame.rectangle(0, frame.width_m, 0), frame.epsg, step_m=200.0)
    beyond = shapely.get_coordinates(shapely.clip_by_rect(ground, _BORDER, -90, _BORDER + 6, 90))
    change = pyproj.Transformer.from_crs(4326, _EAST_EPSG, always_xy=True)
    x, y = change.transform(beyond[:, 0], beyond[:, 1])
    left, bottom, right, top = (
        int(side) for side in (x.min() // 60, y.min() // 60, -(-x.max() // 60), -(-y.max() // 60))
    )
    return 60 * left, 60 * bottom, 60 * right, 60 * top


def _sampled(frame: Frame, numbers: NDArray[np.uint16], bounds: tuple[int, int, int, int]) -> NDArray[np.int32]:
    """Scar ids at the 2.5 m cell centres inside bounds of the eastern zone, -1 off the ground."""
    left, bottom, right, top = bounds
    x = left + (np.arange((right - left) / TRUTH_M) + 0.5) * TRUTH_M
    y = top - (np.arange((top - bottom) / TRUTH_M) + 0.5) * TRUTH_M
    rows, columns = frame.rows_columns(*lattice_in_frame(frame, _EAST_EPSG, x, y), TRUTH_M)
    row, column = np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)
    on = (row >= 0) & (row < numbers.shape[0]) & (column >= 0) & (column < numbers.shape[1])
    found = np.full(row.shape, -1, dtype=np.int32)
    found[on] = numbers[row[on], column[on]]
    return found


def write_labels(path: Path, frame: Frame, scars: Sequence[Scar]) -> None:
    """Outlines as GeoJSON in longitude and latitude, with ``id``, ``age`` (new or old) and ``area_m2``."""
    features = [
        _feature(to_lonlat(s.outline, frame.epsg), {"id": s.id, "age": s.age, "area_m2": round(s.area_m2, 1)})
        for s in scars
    ]
    _write(path, features)


def write_region(path: Path, frame: Frame, region: Polygon, name: str) -> None:
    """One region as GeoJSON in longitude and latitude, its edges dense enough to stay on their projected lines."""
    _write(path, [_feature(to_lonlat(region, frame.epsg, step_m=250.0), {"name": name})])


def _feature(geometry: Polygon, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(geometry)}


def _write(path: Path, features: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
