from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.borderland import served, untrained


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained(tmp_path_factory.mktemp("model") / "checkpoint.safetensors")
