from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.agencies import Agency, Run, agencies
from helpers.rapid import SPEC

from landslide_scale.demo.world import World, make_world
from landslide_scale.reading import attempts


@pytest.fixture(scope="session")
def real(shared_data: Path) -> Callable[[str], dict[str, Any]]:
    """The JSON of a real file of the USGS; some were kept with the request that they answer."""
    folder = shared_data / "usgs"
    if not folder.is_dir():
        pytest.skip(f"no real feeds and ShakeMaps at {folder}")

    def read(name: str) -> dict[str, Any]:
        content = json.loads((folder / name).read_text())
        return content.get("response", content)

    return read


@pytest.fixture(scope="session")
def planet(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that is passed over twice before its event and three times after it."""
    return make_world(tmp_path_factory.mktemp("planet"), SPEC, progress=lambda _: None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits before it tries again."""
    monkeypatch.setattr(attempts.time, "sleep", lambda _: None)


@pytest.fixture
def agency() -> Iterator[Agency]:
    with agencies() as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, agency: Agency) -> Run:
    return Run(folder=tmp_path, agency=agency)
