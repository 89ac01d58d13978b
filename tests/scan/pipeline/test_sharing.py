"""The connections of a node, shared by the readers that it can have at work."""

from __future__ import annotations

from typing import Any

import pytest

from landslide_scale.reading.connections import CONNECTIONS, connections
from landslide_scale.scan.pipeline import guard
from landslide_scale.scan.settings import ScanCompute


@pytest.mark.parametrize(
    ("readers", "allowed", "share"), [(1, 8, 8), (4, 8, 2), (3, 8, 2), (8, 8, 1), (32, 8, 1), (32, 64, 2)]
)
def test_each_reader_has_its_share_and_one_at_least(
    readers: int, allowed: int, share: int, monkeypatch: pytest.MonkeyPatch
):
    let: list[int] = []
    monkeypatch.setattr(connections, "let", let.append)
    monkeypatch.setattr(guard, "at_once_here", lambda cpus: readers if cpus == 0.5 else 0)
    row: dict[str, Any] = {"unit": "one"}
    compute = ScanCompute(connections=allowed)
    assert guard.sharing(row, compute=compute, step=lambda one: one | {"read": True}) == {"unit": "one", "read": True}
    assert let == [share]


def test_a_process_that_is_told_nothing_has_eight():
    assert CONNECTIONS == ScanCompute().connections == 8
