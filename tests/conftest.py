from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    root = Path(os.environ.get("LANDSLIDE_SCALE_DATA", BESIDE_THE_REPOSITORY))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set LANDSLIDE_SCALE_DATA to its folder")
    return root
