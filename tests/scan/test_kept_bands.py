"""A scan that keeps the bands its network was shown, and the region it was asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.borderland import configured, served, untrained
from helpers.plainrun import plain_scan

from landslide_scale.bands import Reason
from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import InvalidConfigError, RunConflictError
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.reports.scans import plan_lines
from landslide_scale.scan import layout
from landslide_scale.scan.layout import CUBE, REGION
from landslide_scale.scan.prepared import foresee, prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.verify import verify
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

BBOX = [17.955, 46.010, 18.004, 46.015]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ground")
    (folder / "scenes").mkdir()
    checkpoint = untrained(folder / "checkpoint.safetensors")
    with served(folder / "scenes") as url:
        place = url, folder / "scenes"
        yield configured(place, checkpoint, folder / "run", region={"bbox": BBOX}, output={"keep": ["red"]})


def of(settings: dict[str, Any], run: object, **output: object) -> dict[str, Any]:
    return settings | {"output": settings["output"] | {"run": str(run)} | output}


@pytest.fixture(scope="module")
def done(settings: dict[str, Any]) -> Scanned:
    assert plain_scan(settings).complete
    return scanned(RunDirectory(settings["output"]["run"]))


def test_the_kept_band_is_what_the_network_was_shown_wherever_the_map_holds_a_probability(done: Scanned):
    seen = 0
    for lattice, extent in done.extents.items():
        layer = done.read(lattice, extent, 0)
        (band,) = done.read_reflectance(lattice, extent, 0).values()
        observed = layer.reason == Reason.OBSERVED
        assert np.array_equal(~np.isnan(band), observed)
        # The network of these tests says the reflectance of its band; a step of probability is 0.004.
        assert np.allclose(band[observed], layer.probability[observed] * 0.004, atol=0.0021)
        seen += np.count_nonzero(observed)
    assert seen > 1000
    assert {record.state for record in done.records.values()} == {"written", "empty"}


def test_its_shards_are_recorded_and_one_that_was_torn_is_found_and_written_again(
    settings: dict[str, Any], done: Scanned, tmp_path: Path
):
    kept = Path(shutil.copytree(done.run.url, tmp_path / "run"))
    run = RunDirectory(str(kept))
    written = next(name for name, record in sorted(Ledger(run).records().items()) if record.state == "written")
    place = next(place for place in done.laid.places if place.id == written)
    (key,) = layout.load(run).objects(place)["red"]
    shard = kept / CUBE / key
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    stray = kept / CUBE / key.replace("/red/", "/nir/")
    stray.parent.mkdir(parents=True)
    stray.write_bytes(whole)
    verdict = verify(run, lambda *_: None)
    assert verdict.strays == (str(stray.relative_to(kept / CUBE)),)
    shutil.rmtree(stray.parents[3])
    (finding,) = verdict.findings
    assert (finding.of, finding.problem) == (written, "red: other bytes than were written")
    assert plain_scan(of(settings, kept)).complete
    assert shard.read_bytes() == whole
    assert verify(run, lambda *_: None).whole
    assert Ledger(run).records()[written].sha256 == done.records[written].sha256


def test_a_run_keeps_what_it_was_begun_to_keep_and_no_record_is_as_without(
    settings: dict[str, Any], done: Scanned, tmp_path: Path
):
    for keep in ([], ["red", "green"]):
        with pytest.raises((RunConflictError, InvalidConfigError), match=r"output\.keep"):
            plain_scan(of(settings, done.run.url, keep=keep))
    assert plain_scan(of(settings, tmp_path / "run", keep=[])).complete
    without = scanned(RunDirectory(str(tmp_path / "run")))
    assert "keep" not in without.facts["settings"]["output"]
    assert all("red" not in record.stored for record in without.records.values())
    assert {record.sha256 for record in without.records.values()}.isdisjoint(
        record.sha256 for record in done.records.values()
    )
    (lattice, extent), *_ = without.extents.items()
    assert without.read_reflectance(lattice, extent, 0) == {}
    assert np.array_equal(without.read(lattice, extent, 0).probability, done.read(lattice, extent, 0).probability)


def test_a_band_that_the_network_is_not_shown_is_refused_with_what_can_be_kept(
    settings: dict[str, Any], tmp_path: Path
):
    config = parse(ScanConfig, of(settings, tmp_path / "run", keep=["red", "nir"]))
    said = r"output\.keep: bands nir; expected .* is shown: red. Keep \[red\]"
    with pytest.raises(InvalidConfigError, match=said):
        prepare(config)
    with pytest.raises(InvalidConfigError, match=said):
        foresee(config, ("red",))
    assert not (tmp_path / "run").exists()


def test_a_plan_says_what_it_takes_to_keep_them(settings: dict[str, Any], tmp_path: Path):
    prepared = prepare(parse(ScanConfig, of(settings, tmp_path / "run")))
    units = sum(bool(unit.scenes) for unit in prepared.survey.plan.units)
    assert prepared.survey.plan.bytes_to_keep(3) == units * 96 * 96 * 2 * 3 > 0
    said = [line for line in plan_lines(prepared) if "kept of the composite" in line]
    assert said == ["kept of the composite: red, at most 0.00 GB (uncompressed)"]
    without = prepare(parse(ScanConfig, of(settings, tmp_path / "run", keep=[])))
    assert not [line for line in plan_lines(without) if "kept" in line]


def test_the_region_is_kept_to_the_last_digit_and_gained_by_a_run_without_it(settings: dict[str, Any], done: Scanned):
    request = prepare(parse(ScanConfig, settings)).survey.request
    path = Path(done.run.url, REGION)
    for _ in range(2):
        assert shapely.from_geojson(path.read_text()).equals_exact(request.ground, 0.0)
        assert scanned(done.run).region.equals(shapely.box(*BBOX))
        path.unlink()
        assert plain_scan(settings).complete
    stamp = path.stat().st_mtime_ns
    assert plain_scan(settings).complete
    assert path.stat().st_mtime_ns == stamp
