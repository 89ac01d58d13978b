"""What the report shows of two layers that are compared."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.changes import BOX, LATTICE, pair, two_layers

from landslide_scale.change.classes import NO_DATA, ChangeClass
from landslide_scale.change.rdndvi import FILL, MOST
from landslide_scale.products.change.compared import Compared
from landslide_scale.products.change.planes import planes
from landslide_scale.products.change.settings import Change
from landslide_scale.products.page.comparison import Comparison, painter
from landslide_scale.products.page.layers import pictured
from landslide_scale.products.page.mapped import mapped
from landslide_scale.products.page.pick import picked
from landslide_scale.products.page.report import page
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    before, after = pair()
    return two_layers(tmp_path_factory.mktemp("made") / "run", (LATTICE, BOX), (before.layer(), after.layer()))


@pytest.fixture(scope="module")
def shown(of: Scanned) -> dict[str, Plane]:
    return {plane.name: plane for plane in planes(Compared(of=of, how=Change(before=0, after=1), step=125))}


def test_classes_are_painted_by_their_code_and_the_first_is_transparent(shown: dict[str, Plane]):
    paint, palette = painter(shown["change"])
    codes = np.array([*ChangeClass, NO_DATA], np.uint8)
    found = paint(codes)
    assert found.tolist() == [*range(len(ChangeClass)), 0]
    assert [palette.colours[index] for index in found[1:-1]] == [
        shown["change"].classes[code].colour for code in [*ChangeClass][1:]
    ]


def test_the_greater_loss_has_the_larger_index_so_that_it_is_the_one_to_be_seen(shown: dict[str, Plane]):
    paint, palette = painter(shown["rdndvi"])
    found = paint(np.array([-MOST, -6000, -3000, 0, 3000, 6000, MOST, FILL], np.int16)).tolist()
    assert found[-1] == 0
    assert found[:-1] == sorted(found[:-1], reverse=True)
    assert (found[0], found[1], found[5], found[6]) == (64, 64, 1, 1)
    assert (palette.colours[64], palette.colours[1]) == ((166, 97, 26), (1, 133, 113))


def test_the_page_has_pictures_legends_and_facts_and_shows_them_only_when_asked(of: Scanned, shown: dict[str, Plane]):
    some = (shown["rdndvi"], shown["status"], shown["change"])
    comparison = Comparison(before="then", after="now", planes=some, hidden=(), facts=(("slopes", "not asked"),))
    seen = pictured(of, some)
    assert [layer.name for layer in seen.layers if not layer.shown] == [
        "change of vegetation (rdNDVI)", "status", "change",
    ]  # fmt: skip
    said = mapped(of, picked([], [window.days for window in of.windows]), seen)["layers"]
    assert [one["name"] for one in said if one.get("hidden")] == [one["name"] for one in said[-3:]]
    text = page(of, [], comparison)
    assert "Outlines are of what is new in now since then" in text
    for plane in some:
        assert all(known.words in text for code, known in plane.classes.items() if code)
    assert "<dt>slopes</dt><dd>not asked</dd>" in text
    assert "Next passes over hidden ground" not in text
    assert 'id="compared"' not in page(of, [])
