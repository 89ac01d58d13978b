"""A scan says what it took of the work that was planned, whoever did which part of it; another is planned like it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from helpers.borderland import configured
from helpers.plainrun import plain_scan

from landslide_scale.commands import inspecting
from landslide_scale.commands.configurations import plan
from landslide_scale.costs.took import Took, noted
from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import InvalidConfigError, InvalidInputError, TryAgainError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.composite import Image
from landslide_scale.scan import driver, work
from landslide_scale.scan.prepared import prepare
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse


def took_of(run: Path) -> Took:
    found = noted(RunDirectory(str(run)).facts())
    assert found is not None
    return found


def test_what_is_kept_is_of_the_units_that_were_planned(catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path):
    settings = configured(catalogue, checkpoint, tmp_path / "run")
    survey = prepare(parse(ScanConfig, settings)).survey
    assert plain_scan(settings).complete
    took, records = took_of(tmp_path / "run"), Ledger(RunDirectory(str(tmp_path / "run"))).records().values()
    assert took.work == survey.work(predicted=True)
    assert took.work.read_bytes == survey.bytes_to_read > 0
    assert took.work.patches == survey.plan.patch_count > 0
    for name in ("read", "wait", "predict", "write"):
        summed = sum(record.seconds.get(name, 0.0) for record in records)
        assert getattr(took, f"{name}_s") == pytest.approx(summed, abs=1e-3)
    assert took.read_s + took.predict_s + took.write_s <= took.wall_s == pytest.approx(took.ready_s)
    before = (tmp_path / "run" / "run.json").read_text()
    assert plain_scan(settings).complete
    assert took_of(tmp_path / "run").wall_s == took.wall_s  # nothing was scanned
    assert json.loads(before)["took"] == took.as_json


def test_drivers_that_do_a_part_each_add_up_to_the_whole(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = configured(catalogue, checkpoint, tmp_path / "run")
    worked_on: Callable[..., Any] = driver.worked_on
    with monkeypatch.context() as patched:
        patched.setattr(driver, "worked_on", lambda units, *rest, **named: worked_on(units[:2], *rest, **named))
        assert not plain_scan(settings).complete
    assert took_of(tmp_path / "run").work.units == 2
    assert plain_scan(settings).complete
    survey = prepare(parse(ScanConfig, settings)).survey
    assert took_of(tmp_path / "run").work == survey.work(predicted=True)


def test_records_of_tries_that_failed_do_not_wait_for_the_end_and_their_seconds_count(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tried, left = Counter[PixelBox](), list[int]()
    observe, compact = work.observe, Ledger.compact

    def away(scenes: object, lattice: Lattice, box: PixelBox, *given: Any) -> Image:  # noqa: ANN401
        tried[box] += 1
        time.sleep(0.05)
        if tried[box] < 3:
            raise TryAgainError("the host is away", expected="an answer")
        return observe(scenes, lattice, box, *given)

    def counted(ledger: Ledger) -> None:
        left.append(len(RunDirectory(str(tmp_path / "run")).names("ledger/units", ".json")))
        compact(ledger)

    monkeypatch.setattr(work, "observe", away)
    monkeypatch.setattr(Ledger, "compact", counted)
    monkeypatch.setattr(driver, "COMPACT_EVERY", 2)
    assert plain_scan(configured(catalogue, checkpoint, tmp_path / "run")).complete
    assert sum(tried.values()) >= 3 * len(tried) > 3
    assert max(left) < len(tried)
    assert took_of(tmp_path / "run").read_s >= 0.05 * sum(tried.values())


def test_a_plan_says_hours_and_cost_at_the_rates_of_a_run_and_a_run_what_it_took(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings, run = configured(catalogue, checkpoint, tmp_path / "run"), str(tmp_path / "run")
    assert plain_scan(settings).complete
    RunDirectory(run).note(
        took=took_of(tmp_path / "run").as_json | {"read_s": 7200.0, "write_s": 0.0, "predict_s": 3600.0}
    )
    priced = settings | {"compute": {"prices": {"cpu_hour": 3, "gpu_hour": 1}, "cpus_per_reader": 1}}
    file = tmp_path / "scan.yaml"
    file.write_text(json.dumps(priced | {"output": {**settings["output"], "run": str(tmp_path / "other")}}))
    assert plan(str(file), like=run) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("expected: ")]
    assert said[0].startswith("expected: 2.00 reader hours, 1.00 predictor hours at work")
    assert said[1].startswith("expected: 9.00 USD (3.00 core hours, 0.00 GPU hours)")
    assert inspecting.status(run, None) == 0
    assert f"h for {took_of(tmp_path / 'run').work.units} units that were scanned" in capsys.readouterr().out


def test_rates_are_of_a_scan_for_a_scan(catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path):
    file, chips = tmp_path / "scan.yaml", tmp_path / "chips.yaml"
    file.write_text(json.dumps(configured(catalogue, checkpoint, tmp_path / "run")))
    with pytest.raises(InvalidInputError, match="no run"):
        plan(str(file), like=str(tmp_path / "run"))
    chips.write_text(json.dumps({"labels": {"file": "labels.geojson"}, "directory": "chips"}))
    with pytest.raises(InvalidConfigError, match="--like"):
        plan(str(chips), like=str(tmp_path / "run"))


def test_a_driver_that_does_not_come_to_its_end_says_nothing(
    catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    settings = configured(catalogue, checkpoint, tmp_path / "run")
    monkeypatch.setattr(driver, "_without_unreadable", killed)
    with pytest.raises(KeyboardInterrupt):
        plain_scan(settings)
    assert noted(RunDirectory(str(tmp_path / "run")).facts()) is None
