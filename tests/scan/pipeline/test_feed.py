"""What a pipeline is fed by when the process that feeds it is begun anew; the actor is a plain object here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from landslide_scale.scan.pipeline import feed
from landslide_scale.scan.pipeline.inflight import InFlight
from landslide_scale.scan.work import Row


def row(name: str) -> Row:
    return {"id": name, "unit": f"all of {name}", "attempt": 1, "left": 3}


def test_a_source_that_is_begun_anew_yields_as_many_blocks_with_all_units_that_have_not_ended(
    monkeypatch: pytest.MonkeyPatch,
):
    flight = InFlight(lambda _: None)
    held = SimpleNamespace(rows=SimpleNamespace(remote=flight.rows))
    monkeypatch.setattr(feed.ray, "get", lambda answer: answer)
    names = [str(number) for number in range(250)]
    flight.put([row(name) for name in names])
    flight.close()
    first = list(feed._fed(held))
    assert [table.to_pylist() for table in first] == [[row(name)] for name in names]
    for name in names[::2]:
        flight.end(name)
    again = list(feed._fed(held))
    assert [table.schema for table in again] == [table.schema for table in first]
    assert [table["id"][0].as_py() for table in again] == ["" if int(name) % 2 == 0 else name for name in names]
