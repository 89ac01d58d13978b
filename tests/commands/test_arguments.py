"""Arguments that are paths, by the one rule for every path."""

from __future__ import annotations

from pathlib import Path

import pytest

from landslide_scale.cli import app
from landslide_scale.commands.configurations import plan
from landslide_scale.commands.demo import demo
from landslide_scale.commands.inspecting import status, verify
from landslide_scale.errors import InvalidConfigError


def test_arguments_are_paths_by_the_same_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for call, key in (
        (lambda: verify("$NOWHERE/a", None), "RUN_DIR"),
        (lambda: status("~/a", "$NOWHERE/map.png"), "--map"),
        (lambda: plan("$NOWHERE.yaml"), "--config"),
        (lambda: demo("$NOWHERE", 7), "--dir"),
    ):
        with pytest.raises(InvalidConfigError, match=f"key {key}: .*Set NOWHERE"):
            call()
    (tmp_path / "scan.yaml").write_text("region: 3")
    with pytest.raises(InvalidConfigError, match=f"file {tmp_path}/scan.yaml: key"):
        plan("~/scan.yaml")


def test_a_refused_path_ends_the_command_with_2_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "ft.yaml").write_text("dataset: {kind: pairs, path: $NOWHERE/a}\noutput: {run: ./~/ft}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        app(["finetune", "--config", "ft.yaml"])
    said = capfd.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert "dataset.path: $NOWHERE/a; expected environment variables that are set. Set NOWHERE" in said
    assert [path.name for path in tmp_path.iterdir()] == ["ft.yaml"]
