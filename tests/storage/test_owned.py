"""Files of our own that were damaged, by a power loss or a copy that was cut: one line that names them, with a cure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely

from landslide_scale.errors import RunConflictError
from landslide_scale.products.scanned import Scanned
from landslide_scale.scan import layout
from landslide_scale.scan.layout import Layout
from landslide_scale.stac.aside import SetAside, keep_aside, load_aside
from landslide_scale.storage.owned import read_own_json
from landslide_scale.storage.rundir import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"other": 1}'])
def test_what_is_no_json_or_says_something_else_is_named_with_its_cure(run: RunDirectory, content: bytes):
    run.write("a.json", content)
    with pytest.raises(RunConflictError, match=r"a\.json is damaged, or something else.*Bake another") as caught:
        read_own_json(run, "a.json", lambda said: said["one"], cure="Bake another.")
    assert "\n" not in str(caught.value)
    run.write("a.json", b'{"one": 1}')
    assert read_own_json(run, "a.json", lambda said: said["one"], cure="") == 1


def test_a_file_that_is_not_there_is_said_to_be_gone_and_not_damaged(run: RunDirectory):
    with pytest.raises(FileNotFoundError):
        read_own_json(run, "a.json", dict, cure="")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"rejected": [1], "excluded": [], "unreadable": {}}'])
def test_a_damaged_file_of_the_scenes_that_were_set_aside_is_named(run: RunDirectory, content: bytes):
    keep_aside(run, SetAside(unreadable={"S2A": "gone"}))
    assert load_aside(run).unreadable == {"S2A": "gone"}
    run.write("set_aside.json", content)
    with pytest.raises(RunConflictError, match=r"set_aside\.json is damaged.*remove it"):
        load_aside(run)
    run.delete("set_aside.json")
    assert load_aside(run) == SetAside()


def products_ground(run: RunDirectory) -> object:
    laid = Layout(run=run, places=(), windows=(), side=16)
    return Scanned(laid=laid, records={}, facts={}, said={}).region


@pytest.mark.parametrize("ground", [layout.load_region, products_ground])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff", json.dumps({"type": "Polygon"}).encode()])
def test_a_damaged_region_is_named(run: RunDirectory, content: bytes, ground: Callable[[RunDirectory], object]):
    run.write(layout.REGION, layout.region(shapely.box(1, 2, 3, 4)))
    assert ground(run) == shapely.box(1, 2, 3, 4)
    run.write("region.geojson", content)
    with pytest.raises(RunConflictError, match=r"region\.geojson is damaged.*scan --resume writes it anew"):
        ground(run)
