"""One cube is of one network: a checkpoint that is replaced while a scan goes on ends it in words."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from helpers.borderland import assert_same_cubes, configured, one_band_model, untrained
from helpers.plainrun import plain_scan

from landslide_scale.cube.ledger import Ledger
from landslide_scale.errors import BrokenRunError
from landslide_scale.model.checkpoint import restore
from landslide_scale.storage.rundir import RunDirectory

SMALL = {"bbox": [17.975, 46.010, 17.992, 46.012]}


def read(url: str, **named: Any) -> tuple[Any, Any]:  # noqa: ANN401 those of restore
    """The network is a stand-in; its file is read as any."""
    restore(url, **named)
    return one_band_model()(url)


def test_a_checkpoint_that_was_replaced_before_a_worker_loads_it_ends_the_run_and_the_first_one_goes_on(
    catalogue: tuple[str, Path], tmp_path: Path
):
    checkpoint = Path(untrained(tmp_path / "checkpoint.safetensors"))
    whole = configured(catalogue, str(checkpoint), tmp_path / "whole", region=SMALL)
    assert plain_scan(whole, load=read).complete
    first, second = checkpoint.read_bytes(), checkpoint.read_bytes()[:-1] + b"\1"

    def replaced(url: str, **named: Any) -> tuple[Any, Any]:  # noqa: ANN401 likewise
        checkpoint.write_bytes(second)  # as a training does at a better epoch
        return read(url, **named)

    settings = configured(catalogue, str(checkpoint), tmp_path / "run", region=SMALL)
    with pytest.raises(BrokenRunError, match="the checkpoint was replaced while the run goes on") as ended:
        plain_scan(settings, load=replaced)
    assert hashlib.sha256(second).hexdigest() in str(ended.value)
    assert hashlib.sha256(first).hexdigest() in str(ended.value)
    assert Ledger(RunDirectory(str(tmp_path / "run"))).records() == {}
    checkpoint.write_bytes(first)
    assert plain_scan(settings, load=read).complete
    assert_same_cubes(tmp_path / "run", tmp_path / "whole")
