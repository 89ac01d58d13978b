"""A registry and a cache of the test's own, and a small checkpoint of random weights."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from helpers.borderland import untrained
from helpers.registering import Type
from typer.testing import CliRunner

from landslide_scale.cli import app


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors"))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's registry lies by default; it is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LANDSLIDE_SCALE_REGISTRY", raising=False)
    monkeypatch.chdir(tmp_path)
    fsspec.filesystem("http").clear_instance_cache()
    folder = tmp_path / "config" / "landslide_scale"
    folder.mkdir(parents=True)
    return folder / "checkpoints.yaml"


@pytest.fixture
def typed(registry: Path) -> Type:  # noqa: ARG001 what is typed finds this registry
    def typed(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words])
        return done.exit_code, done.output

    return typed
