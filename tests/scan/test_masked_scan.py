"""Scans under rules beside the scene classes: what is read and recorded, and what lacks the asset of a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.borderland import Tile, assert_same_cubes, configured, untrained, write_item, x_of_border
from helpers.plainrun import plain_scan
from helpers.scenes import cog

from landslide_scale.bands import Reason
from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import InvalidCatalogError, InvalidConfigError, RunConflictError
from landslide_scale.inspection.status import lines, status
from landslide_scale.reports.scans import plan_lines, scan_report
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

RULE = {"asset": "cloud", "threshold": 60, "reason": "snow"}
SCAR = np.s_[60:66, 100:106]
Settings = dict[str, Any]


def dates(folder: Path, count: int = 3) -> list[dict[str, Any]]:
    """Items of one tile: a bright scar that is always called cloud, and probabilities that see the cloud beside it."""
    folder.mkdir(exist_ok=True)
    found = []
    for day in range(1, count + 1):
        tile = Tile(name=f"d{day}", epsg=32633, west=x_of_border(32633) - 2000, north=5_101_200, day=day, salt=day)
        item = write_item(folder, tile)
        where = {"west": tile.west, "north": tile.north, "epsg": tile.epsg}
        scl, cloud = tile.scl(None), np.zeros((240, 240), np.uint8)
        scl[SCAR], cloud[:, 150:160] = 9, 80
        cog(folder / f"{tile.name}-scl.tif", scl, **where)
        item["assets"]["cloud"] = {"href": cog(folder / f"{tile.name}-cloud.tif", cloud, **where)}
        found.append(item)
    return found


def settings(tmp_path: Path, items: list[dict[str, Any]], run: str = "run", **composite: object) -> Settings:
    (tmp_path / f"{run}.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    content = configured(("", tmp_path), untrained(tmp_path / "model.safetensors"), tmp_path / run)
    content["region"] = {"bbox": [17.977, 46.006, 17.997, 46.02]}
    del content["catalog"]["url"]
    content["catalog"] |= {"items": str(tmp_path / f"{run}.json"), "offset": "in_numbers"}
    content["composite"] |= {"edge_m": 0} | composite
    return content


def reason(tmp_path: Path, run: str = "run") -> np.ndarray:
    array = zarr.open_array(str(tmp_path / run / "cube.zarr"), mode="r", path="EPSG_32633/reason")
    assert array.attrs["flag_meanings"].split()[Reason.PERSISTENT] == "persistent"
    return np.asarray(array[0])


def test_a_scan_reads_records_and_says_what_its_rules_are_and_goes_on_under_them_alone(tmp_path: Path):
    items = dates(tmp_path / "scenes")
    asked = settings(tmp_path, items, mask=[RULE], persistence={"around_m": 200})
    said = plan_lines(prepare(parse(ScanConfig, asked)))
    assert "mask: cloud >= 60 grown by 0 m as snow" in said
    plain = settings(tmp_path, items, "plain")
    to_read = [
        next(line for line in plan_lines(prepare(parse(ScanConfig, one))) if "to read" in line)
        for one in (asked, plain)
    ]
    gigabytes = [float(line.rpartition("patches, ")[2].split()[0]) for line in to_read]
    assert gigabytes[0] == pytest.approx(gigabytes[1] * 6 / 3, abs=0.011)  # two masks, twice, and a band of 16 bits
    summary, other = plain_scan(asked), plain_scan(plain)
    found, without = reason(tmp_path), reason(tmp_path, "plain")
    assert (found == Reason.PERSISTENT).sum() == 36
    assert ((found == Reason.SNOW) & (without == Reason.OBSERVED)).sum() > 1000
    assert ((without == Reason.CLOUD) == (found == Reason.PERSISTENT)).all()
    assert summary.persistent_km2 == pytest.approx(0.0036)
    assert other.persistent_km2 == 0
    report = "0.004 km2 are masked as cloud on every date with clear surroundings"
    assert report in scan_report(summary)
    assert any(report in line for line in lines(status(RunDirectory(str(tmp_path / "run")))[0]))
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["composite"]
    assert recorded["mask"] == [{"asset": "cloud", "threshold": 60.0, "grow_m": 0.0, "reason": "snow"}]
    assert recorded["persistence"]["observe"] is False
    with pytest.raises(RunConflictError, match=r"composite\.mask"):
        plain_scan(settings(tmp_path, items, persistence={"around_m": 200}))
    assert plain_scan(asked).complete


def test_an_item_that_lacks_a_rules_asset_is_set_aside_and_a_broken_one_too(tmp_path: Path):
    items = dates(tmp_path / "scenes", 4)
    del items[0]["assets"]["cloud"]
    Path(items[3]["assets"]["cloud"]["href"]).write_bytes(b"torn")
    summary = plain_scan(settings(tmp_path, items, mask=[RULE]))
    assert summary.complete
    assert [line.partition(":")[0] for line in summary.quarantined] == ["d1", "d4"]
    assert "no asset 'cloud'" in summary.quarantined[0]
    assert "band cloud" in summary.quarantined[1]
    sound = plain_scan(settings(tmp_path, items[1:3], "sound", mask=[RULE]))
    assert sound.complete
    assert_same_cubes(tmp_path / "run", tmp_path / "sound")
    records = Ledger(RunDirectory(str(tmp_path / "run"))).records().values()
    assert any("no asset 'cloud'" in str(one) for record in records for one in record.scenes)
    for one in items:
        one["assets"].pop("cloud", None)
    with pytest.raises(InvalidCatalogError, match="no asset 'cloud'"):
        prepare(parse(ScanConfig, settings(tmp_path, items, "none", mask=[RULE])))


def test_windows_without_dates_enough_for_persistence_are_refused_or_said(tmp_path: Path):
    items = dates(tmp_path / "scenes", 3)
    with pytest.raises(
        InvalidConfigError, match=r"composite\.persistence\.dates: 4 dates, where no window has more than 3"
    ):
        plain_scan(settings(tmp_path, items, persistence={"dates": 4}))
    assert not (tmp_path / "run").exists()
    asked = settings(tmp_path, items, persistence={"dates": 2})
    asked["windows"] = [{"start": "2023-08-01", "end": "2023-08-03"}, {"start": "2023-08-03", "end": "2023-08-05"}]
    said = plan_lines(prepare(parse(ScanConfig, asked)))
    assert "2023-08-03 to 2023-08-05: 1 dates at most, too few for composite.persistence, which needs 2" in said
    assert not any(line.startswith("2023-08-01 to 2023-08-03: 2 dates") for line in said)
