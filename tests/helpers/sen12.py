"""Made files of Sen12Landslides, in exactly the published format: what is in them is random, nothing is copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SIDE = 128
FIRST = date(2022, 10, 5)
STEP = 25

Text = Callable[[str], object]
"""How a library writes an attribute."""


def as_netcdf_c(text: str) -> object:
    """Bytes; of nothing, nothing."""
    return np.bytes_(text) if text else h5py.Empty(h5py.string_dtype("ascii", 1))


def as_h5netcdf(text: str) -> object:
    """A string."""
    return text


@dataclass
class Made:
    """What is to be in a file; by default a patch that can be taken, of frames every 25 days around one event."""

    seed: int = 0
    days: Sequence[int] = tuple(STEP * frame for frame in range(8))
    post: int = 4
    event: str = "2023-01-01"
    attributes: dict[str, str] = field(default_factory=dict)
    left: float = 755_200.0
    top: float = 4_881_920.0
    order: tuple[str, str, str] = ("time", "x", "y")
    text: Text = as_netcdf_c
    numbers: NDArray[np.int16] | None = None
    classes: NDArray[np.int16] | None = None
    mask: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        rng, shape = np.random.default_rng(self.seed), (len(self.days), SIDE, SIDE)
        if self.numbers is None:
            self.numbers = rng.integers(150, 4000, (len(BANDS), *shape), dtype=np.int16)
        if self.classes is None:
            self.classes = rng.choice(
                np.array([3, 4, 5, 6, 8, 9, 255], np.int16), shape, p=[0.1, 0.4, 0.2, 0.1, *[0.2 / 3] * 3]
            )
        if self.mask is None:
            self.mask = np.zeros((SIDE, SIDE), np.uint8)
            self.mask[5:40, 60:70] = 1  # not the same once transposed

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(FIRST + timedelta(days=int(day)) for day in self.days)

    @property
    def said(self) -> dict[str, str]:
        published = {
            "ann_id": "41125,41124",
            "ann_bbox": "(755867.58, 4880640.0, 755900.0, 4880700.0)",
            "event_date": self.event,
            "date_confidence": "1.0",
            "pre_post_dates": f"{{'pre': {self.post - 1}, 'post': {self.post}}}",
            "annotated": "True",
            "satellite": "s2",
            "crs": "EPSG:32632",
        }
        return published | self.attributes

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes = {"time": len(self.days), "y": SIDE, "x": SIDE}
        with h5py.File(path, "w", track_order=True) as file:
            scales = {
                "time": np.asarray(self.days, np.int64),
                "y": self.top - 10.0 * np.arange(SIDE),
                "x": self.left + 10.0 * np.arange(SIDE),
            }
            for name, values in scales.items():
                file.create_dataset(name, data=values).make_scale(name)
            file["time"].attrs["units"] = self.text(f"days since {FIRST} 00:00:00")
            file["time"].attrs["calendar"] = self.text("proleptic_gregorian")
            for name in ("x", "y"):
                file[name].attrs["_FillValue"] = np.array([np.nan])
            assert self.numbers is not None
            assert self.classes is not None
            assert self.mask is not None
            height = np.full((len(self.days), SIDE, SIDE), 700, np.int16)
            arrays = dict(zip(BANDS, self.numbers, strict=True)) | {"SCL": self.classes, "DEM": height}
            arrays["MASK"] = np.broadcast_to(self.mask, height.shape)
            for name, cube in arrays.items():
                moved = np.transpose(cube, [("time", "y", "x").index(axis) for axis in self.order])
                assert moved.shape == tuple(sizes[axis] for axis in self.order)
                dataset = file.create_dataset(name, data=moved)
                for axis, of in enumerate(self.order):
                    dataset.dims[axis].attach_scale(file[of])
                dataset.attrs["grid_mapping"] = self.text("spatial_ref")
            mapping = file.create_dataset("spatial_ref", data=np.int64(0))
            mapping.attrs["GeoTransform"] = self.text(f"{self.left} 10.0 0.0 {self.top} 0.0 -10.0")
            for name, text in self.said.items():
                file.attrs[name] = self.text(text)
            file.attrs["center_lat"], file.attrs["center_lon"] = np.array([self.top - 640]), np.array([self.left + 640])
        return path
