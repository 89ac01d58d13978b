"""A checkpoint and what a scan shows it: the size of pixels is guarded, and what else made them is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zarr
from helpers.borderland import configured, snapshot, untrained
from helpers.plainrun import plain_append, plain_scan

from landslide_scale.cards.card import ModelCard
from landslide_scale.errors import InvalidCheckpointError, RunConflictError
from landslide_scale.inspection.status import lines, status
from landslide_scale.metrics import AreaRatio
from landslide_scale.model.checkpoint import restore, save
from landslide_scale.provenance import ImageFacts, Judged
from landslide_scale.reports.scans import plan_lines, scan_report
from landslide_scale.scan import verify as checking
from landslide_scale.scan.driver import prepare
from landslide_scale.scan.model import ScanModel, fitting_model, observed_as
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

TRAINED = ImageFacts(resolution=10.0, method="median", clear=(4, 5, 6), dilate_m=100.0, fair_share=True)
AREA = AreaRatio(low=0.5, mid=0.75, high=0.9, places=31)
Knowing = Callable[..., str]
"""Saves a checkpoint whose card knows its images and areas."""
LIKE = "if this ground is like the validation's 31 places"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> str:
    """As all checkpoints were before: of its images nothing is known."""
    return untrained(tmp_path_factory.mktemp("old") / "old.safetensors")


@pytest.fixture
def knowing(old: str, tmp_path: Path) -> Knowing:
    def knowing(facts: ImageFacts = TRAINED, area: AreaRatio | None = AREA) -> str:
        net, card = restore(old)
        judged = Judged(patch=32, halo=4, precision="float32")
        save(str(tmp_path / "new.safetensors"), net, replace(card, trained_on=facts, area=area, judged=judged))
        return str(tmp_path / "new.safetensors")

    return knowing


def fitted(checkpoint: str, **sections: dict[str, Any]) -> ScanModel:
    content = {
        "region": {"bbox": [14.0, 46.0, 15.0, 47.0]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "model": {"checkpoint": checkpoint},
        "output": {"run": "runs/x"},
    }
    for name, section in sections.items():
        content[name] = content.get(name, {}) | section  # type: ignore[operator]
    config = parse(ScanConfig, content)
    return fitting_model(config.model, config.predict, observed_as(config.grid, config.composite, config.dem))


def test_reflectance_at_the_top_of_the_atmosphere_is_refused_with_that_reason(tmp_path: Path):
    bands = ("red", "swir16", "slope")
    checkpoint = untrained(tmp_path / "toa.safetensors", bands=bands, radiometry="toa")
    said = r"radiometry toa, reflectance at the top of the atmosphere \(Level-1C, as Landslide4Sense\).*expected boa"
    with pytest.raises(InvalidCheckpointError, match=said):
        fitted(checkpoint)
    accepted = fitted(checkpoint, model={"accept_radiometry": "toa"})
    assert "trained on toa imagery, not on surface reflectance" in accepted.caveat
    cirrus = untrained(tmp_path / "cirrus.safetensors", bands=("red", "cirrus"), radiometry="toa")
    with pytest.raises(InvalidCheckpointError, match=r"bands \['cirrus'\], and trained on radiometry toa"):
        fitted(cirrus)


@pytest.mark.parametrize("metres", [1, 20, 60, 300])
def test_pixels_of_another_size_than_those_learnt_from_are_refused(knowing: Knowing, metres: int):
    said = rf"trained on pixels of 10 m; expected {metres} m, the grid\.resolution of the scan.*accept_resolution: 10;"
    with pytest.raises(InvalidCheckpointError, match=said):
        fitted(knowing(), grid={"resolution": metres})
    for other in (metres, 11):
        with pytest.raises(InvalidCheckpointError, match="trained on pixels of 10 m"):
            fitted(knowing(), grid={"resolution": metres}, model={"accept_resolution": other})


def test_pixels_of_another_size_that_are_accepted_are_said(knowing: Knowing):
    found = fitted(knowing(), grid={"resolution": 20}, model={"accept_resolution": 10})
    assert found.caveat == "The model was trained on pixels of 10 m and is shown pixels of 20 m."
    assert found.attributes["caveat"] == found.noted["caveat"] == found.caveat


@pytest.mark.parametrize("metres", [9.55, 10.0, 10.4])
def test_pixels_of_one_size_but_for_a_projection_are_taken(knowing: Knowing, metres: float):
    found = fitted(knowing(replace(TRAINED, resolution=metres)))
    assert (found.caveat, found.unknown) == ("", "")
    with pytest.raises(InvalidCheckpointError, match=r"pixels of 0\.8 m"):
        fitted(knowing(replace(TRAINED, resolution=0.8)))


@pytest.mark.parametrize("metres", [10, 300])
def test_a_size_that_nobody_knows_is_said_and_not_guessed(old: str, metres: int):
    found = fitted(old, grid={"resolution": metres})
    assert (found.caveat, "trained_on" in found.attributes) == ("", False)
    assert found.unknown.startswith("ground resolution and composite of the images that the model was trained on; ")


def test_what_else_made_the_pixels_is_said_where_it_differs_and_refuses_nothing(knowing: Knowing):
    other = {"method": "latest", "clear": [6, 5, 4, 7], "dilate_m": 60.0}
    assert fitted(knowing(), composite=other).caveat == (
        "The model was trained on images made otherwise: composite.method median (here latest), "
        "composite.clear [4, 5, 6] (here [4, 5, 6, 7]), composite.dilate_m 100.0 (here 60.0)."
    )
    assert fitted(knowing(), composite={"clear": [6, 4, 5]}).caveat == ""
    medoid = replace(TRAINED, method="medoid")
    assert fitted(knowing(medoid), composite={"method": "medoid"}).caveat == ""
    assert "composite.method medoid (here median)" in fitted(knowing(medoid)).caveat
    assert fitted(knowing(ImageFacts(resolution=10.0)), composite=other).caveat == ""
    relief = replace(TRAINED, dem="cop-dem-glo-90")
    assert fitted(knowing(relief), dem={"profile": "earth-search"}).caveat == (
        "The model was trained on images made otherwise: dem.collection cop-dem-glo-90 (here cop-dem-glo-30)."
    )
    assert fitted(knowing(relief), dem={"profile": "earth-search", "collection": "cop-dem-glo-90"}).caveat == ""


def test_every_output_of_a_scan_says_what_was_accepted_and_what_differs(
    catalogue: tuple[str, Path],
    knowing: Knowing,
    tmp_path: Path,
):
    coarse = knowing(replace(TRAINED, resolution=60.0))
    settings = configured(catalogue, coarse, tmp_path / "run", model={"checkpoint": coarse, "accept_resolution": 60})
    plan = "\n".join(plan_lines(prepare(parse(ScanConfig, settings))))
    summary = plain_scan(settings)
    run = RunDirectory(str(tmp_path / "run"))
    attributes = dict(zarr.open_group(run.at("cube.zarr"), mode="r").attrs)
    for said in (plan, summary.caveat, scan_report(summary), run.read_json("run.json")["caveat"], attributes["caveat"]):
        assert "trained on pixels of 60 m and is shown pixels of 10 m" in str(said)
        assert "composite.method median (here latest)" in str(said)
    assert attributes["trained_on"]["resolution"] == 60.0
    assert run.read_json("run.json")["settings"]["model"] == {"accept_radiometry": None, "accept_resolution": 60.0}
    assert plain_scan(settings).complete
    with pytest.raises(InvalidCheckpointError, match="trained on pixels of 60 m"):
        plain_scan(configured(catalogue, coarse, tmp_path / "run"))


def test_every_stated_area_has_the_range_of_the_validation(
    catalogue: tuple[str, Path],
    knowing: Knowing,
    tmp_path: Path,
):
    settings = configured(catalogue, knowing(), tmp_path / "run")
    summary = plain_scan(settings)
    km2, run = summary.landslide_km2, RunDirectory(str(tmp_path / "run"))
    assert f"expected landslides {km2:,.2f} km2 ({km2 * 0.5:,.2f} to {km2 * 0.9:,.2f} {LIKE})" in scan_report(summary)
    facts = run.read_json("run.json")["summary"]
    assert facts["landslide_km2_range"] == pytest.approx([km2 * 0.5, km2 * 0.9])
    assert facts["landslide_km2_assumes"] == LIKE
    table = lines(status(run)[0])
    assert f"landslide km2 is expected, its range {LIKE}" in table
    assert table[4].endswith(f"{km2:,.2f}  {km2 * 0.5:,.2f} to {km2 * 0.9:,.2f}")


def test_a_checkpoint_without_a_validation_states_an_area_of_unknown_trust(
    catalogue: tuple[str, Path], old: str, tmp_path: Path
):
    summary = plain_scan(configured(catalogue, old, tmp_path / "run"))
    run = RunDirectory(str(tmp_path / "run"))
    assert "not known: ground resolution and composite" in scan_report(summary)
    assert "how far this may be off is not known" in scan_report(summary)
    assert run.read_json("run.json")["summary"]["landslide_km2_range"] is None
    assert any("how far this may be off is not known" in line for line in lines(status(run)[0]))


def test_a_run_begun_before_checkpoints_knew_their_images_resumes_to_the_same_bytes(
    catalogue: tuple[str, Path], old: str, tmp_path: Path
):
    """As such a run left its folder: neither settings nor notes nor cube have a word of it."""
    settings = configured(catalogue, old, tmp_path / "run")
    assert plain_scan(settings).complete
    whole = snapshot(tmp_path / "run" / "cube.zarr")
    assert b"trained_on" not in whole["zarr.json"]
    run = RunDirectory(str(tmp_path / "run"))
    facts = run.read_json("run.json")
    assert facts["settings"]["model"] == {"accept_radiometry": None}
    new = {"unknown", "trained_on", "area"}
    run.write_json("run.json", {key: value for key, value in facts.items() if key not in new} | {"state": "incomplete"})
    assert "how far this may be off" in "\n".join(lines(status(run)[0]))
    unit = next(iter(sorted((tmp_path / "run" / "cube.zarr").rglob("c/0/0/0"))))
    unit.unlink()
    assert plain_scan(settings, standing=checking.as_listed).complete
    assert snapshot(tmp_path / "run" / "cube.zarr") == whole
    later = settings | {"windows": [*settings["windows"], {"start": "2023-09-01", "end": "2023-10-01"}]}
    with pytest.raises(RunConflictError, match="accept_resolution"):
        plain_append(later | {"model": {"checkpoint": old, "accept_resolution": 20}})


def test_a_card_that_says_all_of_it_reads_back(knowing: Knowing):
    found: ModelCard = fitted(knowing()).card
    assert (found.trained_on, found.area) == (TRAINED, AREA)
    assert json.loads(json.dumps(fitted(knowing()).attributes)) == fitted(knowing()).attributes
