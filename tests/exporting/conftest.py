from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.exporting import exported, scan_in

from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan whose products are made."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    exported(scan_in(folder))
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "run")
    return RunDirectory(str(tmp_path / "run"))
