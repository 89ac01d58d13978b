from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.hostile import World, attacked

from landslide_scale.reading import attempts


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    with attacked(tmp_path) as made:
        yield made
