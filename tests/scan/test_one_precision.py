"""One cube is computed in one precision, whatever the machines of a scan would choose; and it says on what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.borderland import assert_same_cubes, configured, snapshot
from helpers.plainrun import Roles, engine, plain_scan

from landslide_scale.cards.file import read_card
from landslide_scale.cube.computed import computed_in
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.model.core import precision
from landslide_scale.provenance import NumberFormat
from landslide_scale.scan import driver
from landslide_scale.scan.pipeline.inflight import InFlight
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

SMALL = {"bbox": [17.975, 46.010, 17.992, 46.012]}
PART = {"bbox": [17.975, 46.010, 17.980, 46.012]}

Machine = Callable[[NumberFormat], None]


class Rounding(torch.nn.Module):
    """A network whose numbers are others in bf16."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 1)
        torch.nn.init.constant_(self.layer.weight, 9.7)
        torch.nn.init.constant_(self.layer.bias, -2.3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images[:, :1].nan_to_num(0))


def load(url: str, **_: object) -> tuple[torch.nn.Module, Any]:
    return Rounding(), read_card(url)


@pytest.fixture
def on_a_machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return lambda own: monkeypatch.setattr(precision, "native_bf16", lambda _: own == "bf16")


@pytest.fixture
def settings(catalogue: tuple[str, Path], checkpoint: str, tmp_path: Path) -> dict[str, Any]:
    return configured(catalogue, checkpoint, tmp_path / "run", region=SMALL, predict={"precision": "auto"})


def elsewhere(settings: dict[str, Any], folder: Path, **changes: object) -> dict[str, Any]:
    return settings | {"output": {"run": str(folder)}} | changes


def stopped(settings: dict[str, Any]) -> None:
    """A scan that ends after its first unit."""

    def stop(_: object) -> None:
        raise BrokenRunError("stopped")

    config = parse(ScanConfig, settings)
    with pytest.raises(BrokenRunError, match="stopped"):
        driver.begin(config, engine(config, Roles(), load=load), resume=False, progress=stop)


def formats(folder: Path) -> list[str]:
    return [record.computed["precision"] for record in Ledger(RunDirectory(str(folder))).records().values()]


@pytest.mark.slow
@pytest.mark.parametrize(("begun", "own"), [("bf16", "float32"), ("float32", "bf16")])
def test_a_scan_goes_on_in_the_precision_that_it_was_begun_in_on_a_machine_that_would_choose_the_other(
    settings: dict[str, Any], on_a_machine: Machine, tmp_path: Path, begun: NumberFormat, own: NumberFormat
):
    cubes = {}
    for choice in (begun, own):
        on_a_machine(choice)
        assert plain_scan(elsewhere(settings, tmp_path / choice), load=load).complete
        cubes[choice] = snapshot(tmp_path / choice / "cube.zarr")
    assert cubes[begun] != cubes[own]
    on_a_machine(begun)
    stopped(settings)
    assert formats(tmp_path / "run") == [begun]
    on_a_machine(own)
    assert plain_scan(settings, load=load).complete
    assert set(formats(tmp_path / "run")) == {begun}
    assert len(formats(tmp_path / "run")) > 1
    assert_same_cubes(tmp_path / "run", tmp_path / begun)


def test_units_of_an_earlier_scan_are_taken_with_their_precision(
    settings: dict[str, Any], on_a_machine: Machine, tmp_path: Path
):
    on_a_machine("bf16")
    assert plain_scan(elsewhere(settings, tmp_path / "base", region=PART), load=load).complete
    on_a_machine("float32")
    following = elsewhere(settings, tmp_path / "next")
    following["output"]["base"] = str(tmp_path / "base")
    assert plain_scan(following, load=load).complete
    records = Ledger(RunDirectory(str(tmp_path / "next"))).records().values()
    assert {bool(record.taken_from) for record in records} == {True, False}
    assert {record.computed["precision"] for record in records} == {"bf16"}


def test_a_stated_precision_is_that_of_every_machine_and_each_record_says_on_what_it_was_computed(
    settings: dict[str, Any], on_a_machine: Machine, tmp_path: Path
):
    on_a_machine("bf16")
    settings["predict"]["precision"] = "float32"
    assert plain_scan(settings, load=load).complete
    run = RunDirectory(str(tmp_path / "run"))
    (machine,) = run.read_json("run.json")["computed"]
    assert machine == {**machine, "precision": "float32", "threads": 1, "torch": torch.__version__}
    assert torch.backends.cpu.get_cpu_capability() in machine["device"]
    assert [record.computed for record in Ledger(run).records().values()] == [machine] * len(formats(tmp_path / "run"))


def test_predictors_of_a_mixed_cluster_compute_in_what_the_first_of_them_chose():
    flight = InFlight(lambda _: None)
    assert [flight.agreed("float32"), flight.agreed("bf16")] == ["float32", "float32"]


def test_units_of_two_precisions_are_not_gone_on_with_and_units_that_do_not_say_are_unknown():
    before = Record(unit="a", state="written")
    half, single = (Record(unit=name, state="written", computed={"precision": name}) for name in ("bf16", "float32"))
    assert computed_in([before]) is None
    assert computed_in([before, half]) == "bf16"
    with pytest.raises(BrokenRunError, match="units computed in bf16 and float32"):
        computed_in([half, single])
