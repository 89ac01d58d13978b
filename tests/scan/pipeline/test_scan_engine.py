"""The whole way of a scan of scenes behind a real STAC server, against answers known beforehand.

Each rule is shown in one plain process, and by the slow tests on a real local Ray cluster too; that both give the same
bytes is shown at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
import xarray as xr
from helpers.borderland import (
    COLLECTION,
    SIDE,
    Tile,
    assert_same_cubes,
    border_tiles,
    configured,
    one_band_model,
    snapshot,
    untrained,
    write_item,
)
from helpers.plainrun import Restore, Roles, engine, silent
from pyproj import Transformer

from landslide_scale.bands import Reason
from landslide_scale.cube import arrays
from landslide_scale.cube.ledger import Ledger
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidCatalogError, InvalidCheckpointError, RunConflictError
from landslide_scale.model.checkpoint import restore
from landslide_scale.region import polygons
from landslide_scale.reports.scans import scan_report
from landslide_scale.scan import driver
from landslide_scale.scan.pipeline.engine import scan as on_ray
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.spec import ConvNetSpec
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

Scan = Callable[..., ScanSummary]
"""As :func:`landslide_scale.scan.pipeline.engine.scan`."""


@pytest.fixture(scope="module")
def tiles() -> dict[str, Tile]:
    return border_tiles()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=500_000_000, log_to_driver=False)
    yield
    ray.shutdown()


def in_one_process(config: ScanConfig, *, resume: bool = False, load: Restore = restore) -> ScanSummary:
    return driver.begin(config, engine(config, Roles(), load=load), resume=resume, progress=silent)


@pytest.fixture(params=["plain", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])])
def scan(request: pytest.FixtureRequest) -> Scan:
    if request.param == "plain":
        return in_one_process
    request.getfixturevalue("cluster")
    return on_ray


@pytest.mark.ray
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("cluster")
def test_on_ray_a_scan_gives_the_cube_that_one_process_gives(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    found = []
    for name, scanned in (("ray", on_ray), ("plain", in_one_process)):
        settings = configured(catalogue, checkpoint, tmp_path / name, output={"keep": ["red"]})
        summary = scanned(parse(ScanConfig, settings), load=one_band_model())
        assert summary.complete, summary.errors
        found.append((summary.units, summary.written, summary.empty, summary.km2, summary.landslide_km2))
    assert found[0] == found[1]
    assert_same_cubes(tmp_path / "ray", tmp_path / "plain")


def expected_reflectance(tiles: dict[str, Tile], epsg: int, x: float, y: float) -> tuple[float, bool] | None:
    """Newest clear reflectance at a pixel centre by plain arithmetic, and whether it is native."""
    for names in (("d",), ("a", "b", "c")):
        for native in (True, False):
            for tile in (tiles[name] for name in names):
                if (tile.epsg == epsg) != native:
                    continue
                moved = Transformer.from_crs(epsg, tile.epsg, always_xy=True).transform(x, y)
                row, col = (tile.north - moved[1]) / 10 - 0.5, (moved[0] - tile.west) / 10 - 0.5
                near = round(row), round(col)
                cloudy = tile.name == "d" and near[1] < 100
                if 0 <= near[0] < SIDE and 0 <= near[1] < SIDE and not cloudy:
                    return _bilinear(tile, row, col) / 10_000, native
    return None


def _bilinear(tile: Tile, row: float, col: float) -> float:
    total = weight = 0.0
    for r in (int(np.floor(row)), int(np.floor(row)) + 1):
        for c in (int(np.floor(col)), int(np.floor(col)) + 1):
            part = (1 - abs(row - r)) * (1 - abs(col - c))
            if part > 1e-9 and 0 <= r < SIDE and 0 <= c < SIDE:
                total, weight = total + part * float(tile.numbers[r, c]), weight + part
    return total / weight


@pytest.mark.slow
def test_a_one_band_model_gives_a_cube_equal_to_that_band_across_zones_and_overlapping_scenes(
    scan: Scan, tiles: dict[str, Tile], catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    config = parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / "run"))
    summary = scan(config, load=one_band_model())
    assert summary.complete
    tree = xr.open_datatree(tmp_path / "run" / "cube.zarr", engine="zarr", mask_and_scale=False)
    seen = {"native": 0, "resampled": 0, "unobserved": 0}
    for epsg in (32633, 32634):
        group = tree[f"EPSG_{epsg}"].to_dataset().isel(time=0)
        scanned = np.argwhere(group.reason.to_numpy() != Reason.NOT_SCANNED)
        picked = scanned[np.random.default_rng(0).choice(len(scanned), 600, replace=False)]
        for row, col in picked:
            found = int(group.probability[row, col])
            known = expected_reflectance(tiles, epsg, float(group.x[col]), float(group.y[row]))
            if known is None:
                assert found == arrays.PROBABILITY_FILL
                assert int(group.reason[row, col]) in {Reason.NO_DATA, Reason.CLOUD}
                seen["unobserved"] += 1
            elif known[1]:
                assert found == round(known[0] / 0.004)
                seen["native"] += 1
            else:
                assert found == pytest.approx(known[0] / 0.004, abs=0.51)
                seen["resampled"] += 1
    assert min(seen.values()) > 20, seen


def test_no_ground_is_scanned_twice_and_the_ledger_names_resampled_scenes(
    scan: Scan, catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    config = parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / "run"))
    summary = scan(config, load=one_band_model())
    records = Ledger(RunDirectory(str(tmp_path / "run"))).records()
    # Each pixel's centre lies in one zone's strip; the ellipsoid and UTM's scale differ by less than 0.2 %.
    assert summary.km2 == pytest.approx(polygons.area_km2(polygons.load(config.region)), rel=0.01)
    resampled = {entry["id"] for record in records.values() for entry in record.scenes if entry["resampled"]}
    assert {"b", "d"} <= resampled <= {"a", "b", "c", "d"}
    assert all(entry["offset"] == -1000 for record in records.values() for entry in record.scenes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["landslidenet", "unet"])
def test_any_split_into_blocks_gives_the_same_map(
    scan: Scan, catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, name: str
):
    if name == "unet":
        model = ConvNetSpec(name="unet", encoder="resnet18", depth=3, bands=("red",))
        checkpoint = untrained(tmp_path / "unet.safetensors", model=model)
    maps = []
    for split, block in (("small", 96), ("large", 160)):
        grid = {"resolution": 10, "block": block, "chunk": 32}
        scan(parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / split, grid=grid)))
        tree = xr.open_datatree(tmp_path / split / "cube.zarr", engine="zarr", mask_and_scale=False)
        maps.append({epsg: tree[f"EPSG_{epsg}"].to_dataset().isel(time=0) for epsg in (32633, 32634)})
    for epsg in (32633, 32634):
        one, two = xr.align(maps[0][epsg], maps[1][epsg], join="inner")
        assert one.sizes["x"] > 150
        assert (one.probability != arrays.PROBABILITY_FILL).sum() > 10_000
        for variable in ("probability", "clear_count", "observed_on", "reason"):
            np.testing.assert_array_equal(one[variable].to_numpy(), two[variable].to_numpy())


def test_a_scene_that_cannot_be_read_is_set_aside_and_its_units_are_done_without_it(
    scan: Scan, catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    _, folder = catalogue
    broken, kept = folder / "c-red.tif", (folder / "c-red.tif").read_bytes()
    config = parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / "run"))
    broken.write_bytes(kept[:300])
    try:
        summary = scan(config, load=one_band_model())
    finally:
        broken.write_bytes(kept)
    assert summary.complete, summary.errors
    assert [one.partition(", file")[0] for one in summary.quarantined] == ["c: band red"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "complete"
    excluding = configured(catalogue, checkpoint, tmp_path / "whole", catalog={"exclude": ["c"]})
    whole = scan(parse(ScanConfig, excluding), load=one_band_model())
    assert whole.landslide_km2 == pytest.approx(summary.landslide_km2, rel=1e-12)
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_a_scene_whose_pixels_contradict_its_catalogue_is_not_used_and_is_named_everywhere(
    scan: Scan, checkpoint: str, tmp_path: Path
):
    """All tiles carry the offset; of the newest one the catalogue says that it was taken off."""
    items = [write_item(tmp_path, tile) for tile in border_tiles().values()]
    for one in items:
        one["properties"]["earthsearch:boa_offset_applied"] = one["id"] == "d"
        one["assets"]["blue"] = one["assets"]["red"]
    with serve(items, [COLLECTION]) as url:
        settings = configured((url, tmp_path), checkpoint, tmp_path / "run", catalog={"profile": "earth-search-v1"})
        summary = scan(parse(ScanConfig, settings), load=one_band_model())
    assert summary.complete
    assert [reason.split(":")[0] for reason in summary.quarantined] == ["d"]
    assert "not used: scene d: baseline 05.09" in scan_report(summary)
    run = RunDirectory(str(tmp_path / "run"))
    assert "never applied" in run.read_json("run.json")["quarantined"]["d"]
    named = [one for record in Ledger(run).records().values() for one in record.scenes]
    assert {one["id"] for one in named if "quarantined" in one} == {"d"}
    assert {one["id"] for one in named if "quarantined" not in one} == {"a", "b", "c"}
    assert all("pixels agree" in one["rule"] for one in named if "rule" in one)
    again = scan(parse(ScanConfig, settings), resume=True)  # the catalogue is away: what was frozen decides
    assert again.quarantined == summary.quarantined


def test_resume_of_a_complete_run_does_nothing_and_other_settings_are_refused(
    scan: Scan, catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    settings = configured(catalogue, checkpoint, tmp_path / "run")
    scan(parse(ScanConfig, settings), load=one_band_model())
    before = snapshot(tmp_path / "run" / "cube.zarr")
    with pytest.raises(RunConflictError, match="--resume"):
        scan(parse(ScanConfig, settings))
    other = settings | {"composite": {"method": "median", "dilate_m": 0}}
    with pytest.raises(RunConflictError, match=r"composite\.method"):
        scan(parse(ScanConfig, other), resume=True)

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a finished run loaded its model")

    assert scan(parse(ScanConfig, settings), resume=True, load=refuse).complete
    assert snapshot(tmp_path / "run" / "cube.zarr") == before


def test_nothing_is_written_where_there_is_nothing_to_scan(
    scan: Scan, catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    for changes, message in (
        ({"region": {"bbox": [40.0, 10.0, 40.1, 10.1]}}, "no scene"),
        ({"windows": [{"start": "2020-01-01", "end": "2020-02-01"}]}, "2020-01-01"),
    ):
        with pytest.raises(InvalidCatalogError, match=message):
            scan(parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / "run", **changes)))
    assert not (tmp_path / "run").exists()


def test_a_band_the_catalogue_lacks_and_another_radiometry_are_refused(
    scan: Scan, catalogue: tuple[str, Path], tmp_path: Path
):
    for bands, radiometry, error, message in (
        (("red", "nir"), "boa", InvalidCatalogError, "no asset 'nir'"),
        (("red",), "rgb8", InvalidCheckpointError, "accept_radiometry"),
    ):
        path = untrained(tmp_path / f"{radiometry}.safetensors", bands, radiometry)
        with pytest.raises(error, match=message):
            scan(parse(ScanConfig, configured(catalogue, path, tmp_path / "run")))
    assert not (tmp_path / "run").exists()


@contextmanager
def scan_process(config: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "landslide_scale", "scan", "--config", str(config), *options]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, start_new_session=True, env=environment, stderr=subprocess.PIPE) as process:
        yield process


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_killing_a_scan_half_way_and_resuming_gives_the_same_cube(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    whole = parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / "whole"))
    on_ray(whole)
    settings = tmp_path / "scan.yaml"
    settings.write_text(json.dumps(configured(catalogue, checkpoint, tmp_path / "run")))
    records = tmp_path / "run" / "ledger" / "units"
    with scan_process(settings) as process:
        deadline = time.monotonic() + 120
        while not (records.is_dir() and len(list(records.iterdir())) >= 3):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        kill_tree(process.pid)
    done = len(list(records.glob("*.json")))
    assert done < whole_units(tmp_path / "whole")
    resumed = on_ray(parse(ScanConfig, configured(catalogue, checkpoint, tmp_path / "run")), resume=True)
    assert resumed.complete
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")


def kill_tree(pid: int) -> None:
    """SIGKILL to a driver and to every Ray process it started, none of which gets to clean up."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=30)


def whole_units(run: Path) -> int:
    return json.loads((run / "run.json").read_text())["units"]
