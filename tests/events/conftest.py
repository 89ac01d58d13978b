from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landslide_scale.reading import attempts


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between tries are noted and not waited."""
    waited: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", waited.append)
    return waited


@pytest.fixture(scope="session")
def usgs(shared_data: Path) -> Path:
    folder = shared_data / "usgs"
    if not folder.is_dir():
        pytest.skip(f"no real feeds and ShakeMaps at {folder}")
    return folder


@pytest.fixture(scope="session")
def real(usgs: Path) -> Callable[[str], dict[str, Any]]:
    """The JSON of a file; some were kept with the request that they answer."""

    def read(name: str) -> dict[str, Any]:
        content = json.loads((usgs / name).read_text())
        return content.get("response", content)

    return read
