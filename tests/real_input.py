"""The product on real input: fine-tune on the Bijie pairs, scan seven real scenes, check the cube against plain NumPy.

    python tests/real_input.py --data ../shared/data --out real

Bijie is 0.8 m RGB and the scenes are 120 m reductions of Sentinel-2, so this shows the plumbing, not a landslide map;
every output says so. Each check recomputes its answer from the files with rasterio and NumPy alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from helpers.plainrun import engine, silent
from helpers.realdirect import BANDS, FINE, Direct, DirectElsewhere, expected
from helpers.watching import Roles
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cards.file import read_card
from landslide_scale.demo.quicklook import save_quicklook
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.observe import observe
from landslide_scale.model.checkpoint import restore
from landslide_scale.reports.progress import ScanProgress
from landslide_scale.reports.scans import scan_report
from landslide_scale.reports.scores import score_lines
from landslide_scale.runtime.console import run_guarded, say
from landslide_scale.runtime.session import session
from landslide_scale.scan.driver import begin, prepare
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse
from landslide_scale.training.engine import finetune
from landslide_scale.training.settings import FinetuneConfig, finetune_job

SCENES = Path("sentinel2", "earthsearch-33T-2023-08")
NOTE = "Plumbing on real scenes: the model saw 0.8 m RGB pictures, this is no landslide map"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("real"))
    options = parser.parse_args()
    return run_guarded(lambda: run(options.data.resolve(), options.out.resolve()))


def run(data: Path, out: Path) -> int:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    items = real_items(data / SCENES)
    collection = json.loads((data / SCENES / "collection.json").read_text())
    begun = time.monotonic()
    with session(None), serve(items, [collection]) as url:
        fine_tune(data / "bijie", out)
        config = parse(ScanConfig, scan_settings(url, data / SCENES, out))
        summary = scan(config, progress=ScanProgress())
    say(scan_report(summary))
    assert summary.complete
    assert "not a landslide map" in summary.caveat
    cube = xr.open_datatree(out / "scan" / "cube.zarr", engine="zarr", mask_and_scale=False, decode_times=False)
    assert "not a landslide map" in cube.attrs["caveat"]
    layer = layer_of(config)
    check_clear_count(layer, data / SCENES)
    check_composite(config, data / SCENES)
    check_no_data(layer, data / SCENES)
    plain = plain_runs(data / SCENES, out)
    for one in plain:
        # Without Ray, which has just been seen to work and takes longer to start than these take.
        assert begin(one, engine(one, Roles(), load=restore), resume=False, progress=silent).complete
        check_plain(one, data / SCENES)
    check_same_ground(layer, layer_of(plain[0]))
    draw(config, layer, out)
    say(f"real input: all checks passed in {time.monotonic() - begun:.0f} s; pictures in {out}")
    return 0


def real_items(folder: Path) -> list[dict[str, Any]]:
    items = []
    for path in sorted(folder.glob("*/item.json")):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            asset["href"] = str((path.parent / asset["href"]).resolve())
        items.append(item)
    assert len(items) == 7
    return items


def fine_tune(bijie: Path, out: Path) -> None:
    settings = {
        "dataset": {"kind": "bijie", "path": str(bijie), "resize": 112},
        "model": {"sam": "vit_t", "upsample": 2, "train_encoder": True},
        "train": {"epochs": 6, "batch": 8, "patch": 112},
        "compute": {"cpus_per_worker": 2},
        "output": {"run": str(out / "finetune")},
    }
    result = finetune(finetune_job(parse(FinetuneConfig, settings)), progress=say)
    say(f"held-out Bijie images, resized to 112 px, encoder from random weights, best epoch {result.best}:")
    say(score_lines(result.holdout))
    assert result.holdout.landslide.f1 > 0.3, "the network learnt nothing"


def scan_settings(url: str, scenes: Path, out: Path) -> dict[str, Any]:
    checkpoint = str(out / "finetune" / "checkpoint.safetensors")
    accepted = {"accept_radiometry": "rgb8", "accept_resolution": read_card(checkpoint).trained_on.resolution}
    return {
        "region": {"bbox": [14.9, 45.0, 16.5, 47.0]},
        "windows": [{"start": "2023-08-10", "end": "2023-08-21"}],
        "catalog": {"url": url, "profile": "earth-search-v1", "allowed_roots": [str(scenes)]},
        "grid": {"resolution": FINE, "block": 512, "chunk": 256},
        "model": {"checkpoint": checkpoint, **accepted},
        "predict": {"patch": 112},
        "output": {"run": str(out / "scan")},
    }


def plain_runs(scenes: Path, out: Path) -> list[ScanConfig]:
    """Where two tiles overlap at the edge of a swath: Items from a folder, at 60 and 120 m, and in another zone."""
    grids = ({"resolution": FINE}, {"resolution": 2 * FINE}, {"resolution": FINE, "crs": 32634})
    catalog = {
        "profile": "plain",
        "items": f"{scenes}/*/item.json",
        "offset": "flag:earthsearch:boa_offset_applied",
        "allowed_roots": [str(scenes)],
    }
    return [
        parse(
            ScanConfig,
            scan_settings("", scenes, out)
            | {
                "region": {"bbox": [14.97, 45.94, 15.26, 46.12]},
                "catalog": catalog,
                "grid": {"block": 256, "chunk": 256} | grid,
                "output": {"run": str(out / f"plain-{number}")},
            },
        )
        for number, grid in enumerate(grids)
    ]


def layer_of(config: ScanConfig) -> xr.Dataset:
    """The only layer of a run of one system, as it is stored."""
    cube = xr.open_datatree(
        str(Path(config.output.run, "cube.zarr")), engine="zarr", mask_and_scale=False, decode_times=False
    )
    (group,) = cube.children.values()
    return group.to_dataset().isel(time=0)


def check_plain(config: ScanConfig, scenes: Path) -> None:
    """What a run of Items from a folder stored and observed, against NumPy at squares of 60 m of the mask."""
    layer, plan = layer_of(config), prepare(config).survey.plan
    ((lattice, extent),) = plan.extents.items()
    direct = squares_of(lattice, extent, scenes)
    times = lattice.resolution // FINE
    found = expected(direct, times)
    cut = slice(1, -1), slice(1, -1)
    scanned = layer.reason.to_numpy() != Reason.NOT_SCANNED
    for name, values in (("clear_count", found.count), ("observed_on", found.day)):
        np.testing.assert_array_equal(layer[name].to_numpy()[scanned], values[cut][scanned])
    clear = scanned & (found.count[cut] > 0)
    np.testing.assert_array_equal(layer.reason.to_numpy() == Reason.OBSERVED, clear)
    np.testing.assert_array_equal(layer.probability.to_numpy() != 255, clear)
    for unit in plan.units:
        image, part = observe(unit.scenes, lattice, unit.box, BANDS, config.composite), unit.box.within(extent)
        wanted = found.values[:, 1:-1, 1:-1][:, *part]
        tolerance = 0 if config.grid.crs is None else 2e-6
        np.testing.assert_allclose(image.values, wanted, rtol=tolerance, atol=0)
        assert bool(image.resampled) is (lattice.resolution != FINE or lattice.zone.epsg != 32633)
    masked = float((scanned & ~clear).sum() / scanned.sum())
    assert 0.02 < masked < 0.9
    say(
        f"plain, Items from a folder, {lattice.zone.group} at {lattice.resolution} m: {scanned.sum():,} cells equal "
        f"NumPy's at the mask's own pixels; {masked:.1%} are masked or without data"
    )


def squares_of(lattice: Lattice, extent: PixelBox, scenes: Path) -> Direct:
    """Squares of 60 m under the cells of an extent and one cell around it."""
    fine = replace(lattice, resolution=FINE)
    times = lattice.resolution // FINE
    wide = extent.pad(1)
    x, y = fine.centres(
        PixelBox(
            row_start=wide.row_start * times,
            row_stop=wide.row_stop * times,
            col_start=wide.col_start * times,
            col_stop=wide.col_stop * times,
        )
    )
    epsg = lattice.zone.epsg
    return Direct(x, y, scenes) if epsg == 32633 else DirectElsewhere(x, y, scenes, epsg)


def check_same_ground(layer: xr.Dataset, plain: xr.Dataset) -> None:
    """Items of a folder through ``plain`` are those of an API through ``earth-search-v1``, to the last byte."""
    scanned = plain.reason != Reason.NOT_SCANNED
    whole = layer.sel(x=plain.x, y=plain.y)
    for name in ("probability", "clear_count", "observed_on", "reason"):
        np.testing.assert_array_equal(whole[name].to_numpy()[scanned], plain[name].to_numpy()[scanned])
    say(f"plain stores what earth-search-v1 stored on {int(scanned.sum()):,} cells")


def check_clear_count(layer: xr.Dataset, scenes: Path) -> None:
    scanned = layer.reason.to_numpy() != Reason.NOT_SCANNED
    with padded(layer) as (x, y):
        count = sum(clear.astype(int) for clear, *_ in Direct(x, y, scenes).observations())[1:-1, 1:-1]
    found = layer.clear_count.to_numpy()
    np.testing.assert_array_equal(found[scanned], count[scanned])
    assert (layer.probability.to_numpy()[scanned & (count == 0)] == 255).all()
    assert (layer.probability.to_numpy()[scanned & (count > 0)] != 255).all()
    say(f"clear_count equals the direct count on {scanned.sum():,} cells (0 to {count.max()} clear datatakes)")


@contextmanager
def padded(layer: xr.Dataset) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Centres with one more cell on every side, so that dilation sees across the border."""
    x, y = layer.x.to_numpy(), layer.y.to_numpy()
    yield np.r_[x[0] - FINE, x, x[-1] + FINE], np.r_[y[0] + FINE, y, y[-1] - FINE]


def check_composite(config: ScanConfig, scenes: Path) -> None:
    plan = prepare(config).survey.plan
    unit = max(plan.units, key=lambda unit: len(unit.scenes))
    image = observe(unit.scenes, unit.lattice, unit.box, BANDS, config.composite)
    x, y = unit.lattice.centres(unit.box.pad(1))
    found = expected(Direct(x, y, scenes))
    np.testing.assert_array_equal(image.values, found.values[:, 1:-1, 1:-1].astype(np.float32))
    blue = np.nanpercentile(image.values[2], 1)
    assert 0 <= blue < 0.05, "an offset applied twice would be negative"
    say(
        f"composite of {unit.id} equals NumPy's on {(found.count > 0).sum():,} cells; 1st percentile of blue {blue:.4f}"
    )


def check_no_data(layer: xr.Dataset, scenes: Path) -> None:
    scanned = layer.reason.to_numpy() != Reason.NOT_SCANNED
    direct = Direct(layer.x.to_numpy(), layer.y.to_numpy(), scenes)
    never = np.all([classes == 0 for _, classes, _ in direct.observations()], axis=0) & scanned
    assert never.sum() > 1000
    assert (layer.reason.to_numpy()[never] == Reason.NO_DATA).all()
    assert (layer.probability.to_numpy()[never] == 255).all()
    assert (layer.observed_on.to_numpy()[never] == 65_535).all()
    seen = layer.reason.to_numpy()[scanned]
    parts = {reason.name.lower(): f"{(seen == reason).mean():.2%}" for reason in Reason if (seen == reason).any()}
    say(f"no data stays fill on {never.sum():,} cells; scanned ground by reason: {parts}")


def draw(config: ScanConfig, layer: xr.Dataset, out: Path) -> None:
    plan = prepare(config).survey.plan
    ((lattice, extent),) = plan.extents.items()
    rgb = np.full((3, *extent.shape), np.nan, np.float32)
    for unit in plan.units:
        image = observe(unit.scenes, lattice, unit.box, BANDS, config.composite)
        rgb[:, *unit.box.within(extent)] = image.values
    stored = layer.probability.to_numpy()
    probability = np.where(stored == 255, np.nan, stored * 0.004).astype(np.float32)
    shown = np.moveaxis(rgb, 0, -1)
    save_quicklook(out / "quicklook.png", shown, probability, threshold=0.5, title=NOTE)


if __name__ == "__main__":
    sys.exit(main())
