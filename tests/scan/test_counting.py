"""What a scan asks for, counted by the server that is asked: few requests, and hardly a byte beyond the tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import rasterio
from helpers.borderland import configured, untrained
from helpers.faultserver import FaultServer, fault_server
from helpers.plainrun import plain_scan, silent
from helpers.scenes import COLLECTION, cog, item
from numpy.typing import NDArray
from pyproj import Transformer

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.grid import PixelBox
from landslide_scale.reading import raster
from landslide_scale.reading.claims import Stored
from landslide_scale.reading.geotiff import Source
from landslide_scale.scan import driver
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse

WEST, NORTH, SIDE = 500_000, 5_100_000, 2000
BLOCK = 512
BANDS = ("red", "nir")


@dataclass(frozen=True, kw_only=True)
class Touched:
    """Tiles of an asset that a window meets, and their bytes."""

    asset: str
    bytes: int


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    """Two scenes of the size and tiles of real ones in small; their pixels do not compress."""
    folder = tmp_path_factory.mktemp("scenes")
    generator = np.random.default_rng(3)
    for name in ("S2A_1", "S2A_2"):
        for band in BANDS:
            values = generator.integers(1100, 9000, (SIDE, SIDE)).astype(np.uint16)
            cog(folder / f"{name}-{band}.tif", values, west=WEST, north=NORTH)
        classes = generator.choice(np.array([4, 5, 6], np.uint8), (SIDE // 2, SIDE // 2))
        cog(folder / f"{name}-scl.tif", classes, west=WEST, north=NORTH, resolution=20)
    with fault_server(FaultServer(folder=folder)) as running:
        yield running


@contextmanager
def catalogued(server: FaultServer) -> Iterator[str]:
    """The address of a catalogue of the two scenes."""
    bounds = (WEST, NORTH - 10.0 * SIDE, WEST + 10.0 * SIDE, NORTH)
    items = [
        item(
            name,
            sensed=f"2023-08-{day:02d}T10:07:00Z",
            assets={band: f"{server.address}/{name}-{band}.tif" for band in (*BANDS, "scl")},
            bounds=bounds,
        )
        for day, name in ((10, "S2A_1"), (15, "S2A_2"))
    ]
    with serve(items, [COLLECTION]) as url:
        yield url


def settings(url: str, folder: Path) -> dict[str, Any]:
    """Four blocks and parts of more, all inside the scenes."""
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(
        WEST + 4000, NORTH - 14_000, WEST + 12_000, NORTH - 4000, densify_pts=21
    )
    return configured(
        (url, folder),
        untrained(folder / "checkpoint.safetensors", BANDS),
        folder / "run",
        region={"bbox": [west, south, east, north]},
        catalog={"collection": COLLECTION["id"], "allowed_hosts": ["127.0.0.1:*"], "allowed_roots": []},
        grid={"resolution": 10, "block": BLOCK, "chunk": 128},
        composite={"method": "median", "dilate_m": 100},
        predict={"patch": 112, "halo": 16, "batch": 4, "precision": "float32"},
    )


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[Touched]:
    """What every window that is read meets, by the offsets in the files themselves."""
    found: list[Touched] = []
    window = raster._window

    def noting(
        dataset: rasterio.DatasetReader, source: Source, stored: Stored, wanted: PixelBox
    ) -> NDArray[np.generic]:
        common = wanted.intersection(source.box)
        assert common is not None
        found.append(Touched(asset=dataset.name.rpartition("/")[2], bytes=bytes_of_tiles(dataset, common)))
        return window(dataset, source, stored, wanted)

    monkeypatch.setattr(raster, "_window", noting)
    return found


def bytes_of_tiles(dataset: rasterio.DatasetReader, box: PixelBox) -> int:
    rows, cols = dataset.block_shapes[0]
    tiles = [
        (row, col)
        for row in range(box.row_start // rows, (box.row_stop - 1) // rows + 1)
        for col in range(box.col_start // cols, (box.col_stop - 1) // cols + 1)
    ]
    return sum(int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", dm="TIFF", bidx=1)) for row, col in tiles)


def refuse(_: object) -> NoReturn:
    pytest.fail("an engine was started for a run that is complete")


@pytest.mark.slow
def test_a_scan_asks_once_what_an_asset_is_and_reads_its_tiles_and_little_else(
    server: FaultServer, touched: list[Touched], tmp_path: Path
):
    with catalogued(server) as url:
        chosen = settings(url, tmp_path)
        summary = plain_scan(chosen)
    assert summary.complete
    assert summary.written > 4
    heads = Counter(one.path for one in server.asked if one.method == "HEAD")
    assert set(heads.values()) == {1}
    assert len(heads) == 2 * (len(BANDS) + 1)
    read, needed = sum(one.sent for one in server.asked), sum(one.bytes for one in touched)
    assert len(touched) == summary.written * len(heads)
    assert needed > 20_000_000
    # Units that follow each other see the same tiles, and what is still held is not read again.
    once = sum(max(one.bytes for one in touched if one.asset == asset) for asset in {one.asset for one in touched})
    assert 0.9 * once < read <= 1.10 * needed
    assert len(server.asked) - len(heads) <= 6 * len(touched)

    # The catalogue is away by now.
    server.reset()
    again = driver.begin(parse(ScanConfig, chosen), refuse, resume=True, progress=silent)
    assert again.complete
    assert again.landslide_km2 == summary.landslide_km2
    assert server.asked == []
