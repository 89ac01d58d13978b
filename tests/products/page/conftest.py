from __future__ import annotations

from typing import Any

import pytest
from helpers.reported import landslide, run_of

from landslide_scale.products.scanned import Scanned, scanned


@pytest.fixture(scope="package")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    return scanned(run_of(tmp_path_factory.mktemp("made") / "scan"))


@pytest.fixture(scope="package")
def rows(scan: Scanned) -> list[dict[str, Any]]:
    return [landslide(scan, number) for number in range(5)]
