from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A cluster that is started where a token file lies demands its token, also of processes that do not know of it.
os.environ["RAY_AUTH_MODE"] = "disabled"

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    root = Path(os.environ.get("LANDSLIDE_SCALE_DATA", BESIDE_THE_REPOSITORY))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set LANDSLIDE_SCALE_DATA to its folder")
    return root
