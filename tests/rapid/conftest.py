from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.rapid import SPEC

from landslide_scale.demo.world import World, make_world


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
