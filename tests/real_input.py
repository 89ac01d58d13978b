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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from landslide_scale.bands import Reason
from landslide_scale.demo.quicklook import save_quicklook
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.model.checkpoint import read_card
from landslide_scale.reports import ScanProgress, scan_report, score_lines
from landslide_scale.runtime.console import run_guarded, say
from landslide_scale.runtime.session import session
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.engine import scan
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Scene
from landslide_scale.strictyaml import parse
from landslide_scale.training.engine import finetune
from landslide_scale.training.settings import FinetuneConfig, finetune_job

SCENES = Path("sentinel2", "earthsearch-33T-2023-08")
BANDS = ("red", "green", "blue")
FILES = {"red": "B04", "green": "B03", "blue": "B02", "scl": "SCL"}
FINE = 60
OUTSIDE = 255
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
    layer = cube["EPSG_32633"].to_dataset().isel(time=0)
    check_clear_count(layer, data / SCENES)
    check_composite(config, data / SCENES)
    check_no_data(layer, data / SCENES)
    check_coarse(prepare(config).survey.plan.scenes, data / SCENES)
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


class Direct:
    """The answer for a box of 60 m pixels by rasterio and NumPy alone.

    Args:
        x, y: Centres of columns and rows, metres, EPSG:32633.
        scenes: Folder of the scenes.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64], scenes: Path) -> None:
        self.x, self.y = x, y
        takes: dict[str, list[Path]] = {}
        for path in sorted(scenes.glob("*/item.json")):
            takes.setdefault(json.loads(path.read_text())["properties"]["s2:datatake_id"], []).append(path.parent)
        # Tile 33TWL before 33TWM; newest datatake first.
        self.takes = [
            sorted(takes[name], key=lambda folder: folder.name.split("_")[1])
            for name in sorted(takes, key=lambda name: name.split("_")[1], reverse=True)
        ]

    def pixels(self, folder: Path, name: str, outside: int = 0) -> NDArray[Any]:
        """Nearest 120 m pixel of every 60 m cell, `outside` the file that."""
        with rasterio.open(folder / f"{FILES[name]}.tif") as dataset:
            values = dataset.read(1)
            cols = np.floor((self.x - dataset.transform.c) / 120).astype(int)
            rows = np.floor((dataset.transform.f - self.y) / 120).astype(int)
        held_rows, held_cols = (rows >= 0) & (rows < values.shape[0]), (cols >= 0) & (cols < values.shape[1])
        out = np.full((len(rows), len(cols)), outside, values.dtype)
        out[np.ix_(held_rows, held_cols)] = values[np.ix_(rows[held_rows], cols[held_cols])]
        return out

    def observations(
        self,
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.uint8], list[tuple[Path, NDArray[np.bool_]]]]]:
        """Per datatake: clear, classes, and which folder each pixel is from."""
        for take in self.takes:
            classes = np.zeros((len(self.y), len(self.x)), np.uint8)
            within = np.zeros(classes.shape, bool)
            sources = []
            for folder in take:
                found = self.pixels(folder, "scl", OUTSIDE)
                within |= found != OUTSIDE
                found[found == OUTSIDE] = 0
                mine = (classes == 0) & (found != 0)
                classes[mine] = found[mine]
                sources.append((folder, mine))
            # 100 m reaches all eight neighbours of a 60 m cell (84.9 m) and not the next (120 m).
            spoilt = binary_dilation(np.isin(classes, (3, 8, 9)), np.ones((3, 3), bool))
            # 60 m from the edge of a swath reach the next cell on each side, and none across a corner.
            edge = binary_dilation(within & (classes == 0))
            yield np.isin(classes, (4, 5, 6)) & ~spoilt & ~edge, classes, sources


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
    direct = Direct(x, y, scenes)
    stack, clears = [], []
    for clear, _, sources in direct.observations():
        values = np.full((3, *clear.shape), np.nan, np.float32)
        for folder, mine in sources:
            numbers = np.stack([direct.pixels(folder, band) for band in BANDS]).astype(np.float32)
            # earthsearch:boa_offset_applied is true and the pixels bear it out: no offset is to be added again.
            np.copyto(values, numbers / np.float32(10_000), where=mine & clear)
        stack.append(values[:, 1:-1, 1:-1])
        clears.append(clear[1:-1, 1:-1])
    count = np.sum(clears, axis=0)
    latest = np.full_like(stack[0], np.nan)
    for values in stack:
        np.copyto(latest, values, where=np.isnan(latest))
    middle = np.nanmedian(np.where(count >= 3, np.stack(stack), 0), axis=0).astype(np.float32)
    expected = np.where(count >= 3, middle, latest)
    np.testing.assert_array_equal(image.values, expected)
    blue = np.nanpercentile(image.values[2], 1)
    assert 0 <= blue < 0.05, "an offset applied twice would be negative"
    say(f"composite of {unit.id} equals NumPy's on {(count > 0).sum():,} cells; 1st percentile of blue {blue:.4f}")


def check_coarse(known: Sequence[Scene], scenes: Path) -> None:
    """At 120 m, where tiles begin half a cell off the lattice: clear cells are those whose four quarters all are."""
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=2 * FINE, block=512)
    box = PixelBox(row_start=-43_400, row_stop=-43_100, col_start=4200, col_stop=4500)
    image = observe(known, lattice, box, BANDS, CompositeConfig(method="latest"))
    shape = (box.shape[0] + 2, 2, box.shape[1] + 2, 2)
    x, y = (centres[:, None] for centres in lattice.centres(box.pad(1)))
    quarters = np.array([-FINE / 2, FINE / 2])
    direct = Direct((x + quarters).ravel(), (y - quarters).ravel(), scenes)
    count = np.zeros((shape[0], shape[2]), int)
    latest = np.full((3, *count.shape), np.nan, np.float32)
    for clear, _, sources in direct.observations():
        seen = clear.reshape(shape).all(axis=(1, 3))
        numbers = np.zeros((3, *clear.shape))
        for folder, mine in sources:
            np.copyto(numbers, np.stack([direct.pixels(folder, band) for band in BANDS]), where=mine)
        mean = numbers.reshape(3, *shape).mean(axis=(2, 4)) / 10_000
        np.copyto(latest, mean, where=seen & (count == 0), casting="same_kind")
        count += seen
    np.testing.assert_array_equal(image.clear_count, count[1:-1, 1:-1])
    np.testing.assert_allclose(image.values, latest[:, 1:-1, 1:-1], rtol=2e-6, atol=1e-9)
    say(f"at {2 * FINE} m the mask's own pixels decide: {(count > 0).sum():,} cells equal NumPy's")


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
