"""Items that wait: what they say, how little they take, and what cannot be packed."""

from __future__ import annotations

import errno
import gc
import json
import os
import tempfile
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import BrokenRunError
from landslide_scale.stac.holding import packed
from landslide_scale.stac.holding.packed import PackedItem, Packing

BEYOND_LATIN = "\N{CJK UNIFIED IDEOGRAPH-5C71}\ud800"
"""A mountain, and half a character, which a stranger may write."""

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.just(BEYOND_LATIN))
JSON = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4))
)


def like_earth_search(number: int) -> dict[str, Any]:
    """An Item of about as many values as a real one."""
    where = f"https://sentinel-cogs.example/33/T/WM/2023/8/S2A_33TWM_{number:06d}_0_L2A"
    return {
        "type": "Feature",
        "id": f"S2A_33TWM_{number:06d}_0_L2A",
        "properties": {f"s2:percentage_{part}": (number * 7 + part) % 100 / 3 for part in range(40)},
        "assets": {
            f"band{band}": {
                "href": f"{where}/B{band:02d}.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "title": f"Band {band}",
                "proj:shape": [10980, 10980],
                "proj:transform": [10, 0, 399960 + number, 0, -10, 5200020],
                "raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}],
                "roles": ["data", "reflectance"],
            }
            for band in range(30)
        },
    }


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=5), max_size=6))
def test_a_packed_item_is_the_mapping_that_it_was(items: list[dict[str, Any]]):
    packing = Packing()
    held = [packing.pack(item) for item in items]
    for item, one in [*zip(items, held, strict=True), *zip(items, held, strict=True)]:
        assert isinstance(one, PackedItem)
        assert one == item
        assert dict(one) == item
        assert len(one) == len(item)
        assert {**one, "more": 1} == item | {"more": 1}
        assert list(one) == list(item), "in the order in which it was said"
        assert all(one[key] == value and one.get(key) == value for key, value in item.items())
    assert [packing.pack(one) is one for one in held] == [True] * len(held)


def test_what_json_does_not_have_or_lies_too_deep_stays_as_it_is():
    strange: list[Mapping[str, Any]] = [{"id": object()}, {"deep": json.loads("[" * 900 + "]" * 900)}]
    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    strange[1] = {"deep": deep}
    assert [Packing().pack(item) is item for item in strange] == [True, True]


@pytest.mark.parametrize("held", [0, 2000, packed.HELD_BYTES])
def test_items_that_lie_in_a_file_say_the_same(held: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packed, "HELD_BYTES", held)
    packing = Packing()
    items = [packing.pack(like_earth_search(number)) for number in range(40)]
    for number in (39, 0, 17, 1, 39):
        assert items[number] == like_earth_search(number)
    packing_of_others = Packing()
    others = [packing_of_others.pack({"id": str(number)}) for number in range(3)]
    del packing
    gc.collect()
    assert items[5]["id"] == like_earth_search(5)["id"], "as long as any Item of it is there"
    assert [other["id"] for other in others] == ["0", "1", "2"]


def test_thousands_take_a_fortieth_of_what_they_take_spelled_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packed, "HELD_BYTES", 0)
    packing, count = Packing(), 150

    def taken(held: bool) -> int:  # noqa: FBT001 what is asked about
        tracemalloc.start()
        items = [packing.pack(json.loads(json.dumps(like_earth_search(n)))) if held else json.loads(json.dumps(like_earth_search(n))) for n in range(count)]  # fmt: skip  # noqa: E501
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(items) == count
        return size

    assert taken(held=True) < taken(held=False) / 40
    assert packing._length / count < 1500


def test_a_temporary_folder_without_room_is_named(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(packed, "HELD_BYTES", 0)
    for write in (full, lambda *_: 3):  # all of it refused, or all but three bytes
        monkeypatch.setattr(os, "pwrite", write)
        with pytest.raises(BrokenRunError, match="No space left on device") as caught:
            Packing().pack({"id": "one"})
        assert caught.value.where["folder"] == tempfile.gettempdir()
