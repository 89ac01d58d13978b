"""The ways of `peers.py` that are not this package's, each run by it in a process of its own; what each step took.

All begin from a composite by odc-stac and dask, for neither TorchGeo nor TerraTorch makes one, and end in xarray's
`to_zarr`. Between the two, patches go through the same weights as in a scan, in segment_anything's own blocks.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

BANDS = ("red", "green", "blue")
CLEAR = (4, 5, 6)
"""What a scan counts as clear by default."""

CHUNK = 512
STEP, NOTHING = 0.004, 255
"""As a scan stores probabilities."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be mapped, and how.

    Attributes:
        items: File of an ItemCollection.
        checkpoint, base: Files of the network and of its base weights.
        out: Where the Zarr store goes.
        epsg, west, north, side: The ground: upper left corner in metres, pixels of `metres` along a side.
        patch, halo, batch: How the network passes over it.
        scratch: Folder for what a way keeps on the way.
    """

    items: str
    checkpoint: str
    base: str
    out: str
    epsg: int
    west: float
    north: float
    side: int
    metres: int
    patch: int
    halo: int
    batch: int
    scratch: str

    @property
    def stride(self) -> int:
        """Pixels between patches."""
        return self.patch - 2 * self.halo


def composite(job: Job) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The median of what is clear, reflectance (C, H, W) with NaN where nothing is, and of how many dates (H, W)."""
    import odc.stac  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 not everybody has it
    import pystac  # noqa: PLC0415
    from affine import Affine  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415
    from odc.geo.geobox import GeoBox  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    odc.stac.configure_rio(cloud_defaults=True)
    items = list(pystac.ItemCollection.from_file(job.items))
    ground = Affine(job.metres, 0, job.west, 0, -job.metres, job.north)
    cube = odc.stac.load(
        items,
        bands=[*BANDS, "scl"],
        geobox=GeoBox((job.side, job.side), ground, f"EPSG:{job.epsg}"),
        chunks={"x": 2 * CHUNK, "y": 2 * CHUNK},
        groupby="solar_day",
    )
    clear = cube.scl.isin(CLEAR)
    seen = cube[list(BANDS)].where(clear & (cube[list(BANDS)] > 0)).chunk({"time": -1})
    picture = (seen.median("time") / 10_000).assign(count=clear.sum("time")).compute()
    values = np.stack([picture[band].to_numpy() for band in BANDS]).astype(np.float32)
    return values, picture["count"].to_numpy().astype(np.uint8)


def network(job: Job) -> Callable[[torch.Tensor], torch.Tensor]:
    """From patches (B, C, P, P) to probabilities (B, 1, P, P), through segment_anything's own blocks."""
    import torch  # noqa: PLC0415 its import is time that a way takes

    from landslide_scale.model.checkpoint import restore  # noqa: PLC0415

    net, card = restore(job.checkpoint, base_url=job.base)
    net.eval().logits = partial(own_logits, net)  # type: ignore[method-assign]

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return torch.sigmoid((net(images) + card.bias) / card.temperature)

    return forward


def own_logits(net: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 a LandslideNet
    """As LandslideNet's, but for the blocks' forward pass; tuning layers follow a block, as by default."""
    from landslide_scale.model.landslidenet.decoder import decode  # noqa: PLC0415
    from landslide_scale.model.landslidenet.encoder import position_embedding  # noqa: PLC0415

    encoder, tuning = net.image_encoder, net.tuning
    x = encoder.patch_embed(x)
    x = x + position_embedding(encoder.pos_embed, x.shape[1:3])
    for number, block in enumerate(encoder.blocks):
        x = block(x)
        layer = tuning.first(number)
        x = x if layer is None else tuning(x, layer)
    return decode(net.mask_decoder, net.prompt_encoder, encoder.neck(x.permute(0, 3, 1, 2)))


class Mosaic:
    """Patches blended with ramps; those of the rim reach it with next to no weight, but with some."""

    def __init__(self, job: Job) -> None:
        rim = np.minimum(np.arange(job.patch), np.arange(job.patch)[::-1]) + 0.5 - job.halo / 2
        ramp = np.clip(rim / max(job.halo, 1), 1e-3, 1)
        self._weights = (ramp[:, None] * ramp[None, :]).astype(np.float32)
        self._sums = np.zeros((2, job.side, job.side), np.float32)

    def add(self, row: int, col: int, values: NDArray[np.float32]) -> None:
        """One more patch, of which what lies outside is not used."""
        above, left = max(-row, 0), max(-col, 0)
        rows, cols = slice(row + above, row + len(values)), slice(col + left, col + len(values))
        height, width = self._sums[0][rows, cols].shape
        cut = slice(above, above + height), slice(left, left + width)
        self._sums[0][rows, cols] += (values * self._weights)[cut]
        self._sums[1][rows, cols] += self._weights[cut]

    @property
    def mean(self) -> NDArray[np.float32]:
        """All of them."""
        return self._sums[0] / self._sums[1]


def loop(job: Job, picture: NDArray[np.float32], forward: Callable[..., torch.Tensor]) -> NDArray[np.float32]:
    """A notebook's: cut, predict, blend; the last patch of a row ends where the ground does."""
    import torch  # noqa: PLC0415

    starts = [min(start, job.side - job.patch) for start in range(0, job.side - 2 * job.halo, job.stride)]
    mosaic, places = Mosaic(job), list(product(starts, starts))
    for some in (places[first : first + job.batch] for first in range(0, len(places), job.batch)):
        patches = [picture[:, row : row + job.patch, col : col + job.patch] for row, col in some]
        for place, found in zip(some, forward(torch.from_numpy(np.stack(patches))), strict=True):
            mosaic.add(*place, found[0].numpy())
    return mosaic.mean


def torchgeo(job: Job, picture: NDArray[np.float32], forward: Callable[..., torch.Tensor]) -> NDArray[np.float32]:
    """TorchGeo's: the composite as a file, a RasterDataset of it, a grid sampler, a DataLoader."""
    from torch.utils.data import DataLoader  # noqa: PLC0415
    from torchgeo.datasets import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
        RasterDataset,
        stack_samples,
    )
    from torchgeo.samplers import GridGeoSampler  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    dataset = RasterDataset(paths=[str(_as_file(job, picture))])
    sampler = GridGeoSampler(dataset, size=job.patch, stride=job.stride)
    mosaic, places = Mosaic(job), iter(sampler)
    for batch in DataLoader(dataset, batch_size=job.batch, sampler=sampler, collate_fn=stack_samples):
        for found in forward(batch["image"]):
            x, y, _ = next(places)
            # Its grid begins at the lower left corner, and reaches out at the top and at the right.
            mosaic.add(
                round((job.north - y.stop) / job.metres), round((x.start - job.west) / job.metres), found[0].numpy()
            )
    return mosaic.mean


def _as_file(job: Job, picture: NDArray[np.float32]) -> Path:
    import rasterio  # noqa: PLC0415

    path = Path(job.scratch) / "composite.tif"
    shape = {"count": len(picture), "height": job.side, "width": job.side, "dtype": "float32", "nodata": np.nan}
    place = rasterio.Affine(job.metres, 0, job.west, 0, -job.metres, job.north)
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", driver="GTiff", crs=job.epsg, transform=place, **shape, **tiled) as file:
        file.write(picture)
    return path


def terratorch(job: Job, picture: NDArray[np.float32], forward: Callable[..., torch.Tensor]) -> NDArray[np.float32]:
    """TerraTorch's tiled inference, of the same overlap: what it cuts off is what has no weight in a scan.

    Not padded, as by default: a padding of half a token would print the grid of random weights elsewhere (`peers.py`).
    """
    import torch  # noqa: PLC0415
    from terratorch.tasks.tiled_inference import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
        tiled_inference,
    )

    torch.set_float32_matmul_precision("highest")  # its import lets products be of 16 bits, as no other way has them
    whole = torch.from_numpy(picture[None])
    how = {"crop": job.patch, "stride": job.stride, "delta": job.halo // 2, "batch_size": job.batch, "padding": False}
    found: NDArray[np.float32] = tiled_inference(forward, whole, **how)[0, 0].numpy()
    return found


def store(job: Job, probability: NDArray[np.float32], picture: NDArray[np.float32], count: NDArray[np.uint8]) -> None:
    """As 8 bits, as a scan does."""
    import xarray  # noqa: PLC0415

    seen = np.isfinite(picture).all(axis=0)
    numbers = np.where(seen, np.round(np.nan_to_num(probability) / STEP), NOTHING).astype(np.uint8)
    axes = ("y", "x")
    xarray.Dataset({"probability": (axes, numbers), "clear_count": (axes, count)}).chunk(CHUNK).to_zarr(job.out)


WAYS = {"notebook": loop, "torchgeo": torchgeo, "terratorch": terratorch}
LIBRARIES = {
    "notebook": ("odc.stac",),
    "torchgeo": ("odc.stac", "torchgeo.datasets"),
    "terratorch": ("odc.stac", "terratorch.tasks"),
}
VERSIONS = ("odc-stac", "dask", "torch", "torchgeo", "terratorch", "segment-anything", "xarray", "zarr")


def versions() -> dict[str, str]:
    """Of what is installed here."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main(way: str, said: str) -> None:
    """Print what it took, or what is not installed."""
    try:
        for library in LIBRARIES[way]:
            importlib.import_module(library)
    except ImportError as error:
        print(json.dumps({"lacking": str(error)}))
        return
    job, times = Job(**json.loads(said)), [time.perf_counter()]
    forward = network(job)
    times.append(time.perf_counter())
    picture, count = composite(job)
    times.append(time.perf_counter())
    probability = WAYS[way](job, picture, forward)
    times.append(time.perf_counter())
    store(job, probability, picture, count)
    times.append(time.perf_counter())
    names = ("load", "read", "predict", "write")
    print(json.dumps({**dict(zip(names, np.diff(times).tolist(), strict=True)), "versions": versions()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
