"""Answers and data sets that claim little and unpack to much, or never end."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import shapely
from helpers.webserver import Answer, Asked, listening, site

from landslide_scale.datasets.chips import INDEX, open_chips, read_index
from landslide_scale.datasets.files import LocalFiles
from landslide_scale.datasets.landslide4sense import open_landslide4sense
from landslide_scale.errors import CatalogAwayError, InvalidCatalogError, InvalidDatasetError
from landslide_scale.reading import asking, attempts
from landslide_scale.scene import Window, utc
from landslide_scale.stac.search import search
from landslide_scale.stac.settings import CatalogConfig

pytestmark = pytest.mark.hostile

AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)


def asked_of(url: str) -> object:
    return search(CatalogConfig(url=url, profile="plain"), AREA, [AUGUST])


@contextmanager
def peak() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("path", ["/", "/search"])
def test_an_answer_that_unpacks_to_more_than_a_page_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch, encoding: str, path: str
):
    monkeypatch.setattr(asking, "MOST_ANSWER", 4 * 2**20)
    bomb = (gzip if encoding == "gzip" else zlib).compress(bytes(64 * 2**20))
    assert len(bomb) < 100_000

    def answer(asked: Asked) -> Answer:
        if path in {asked.path, "/"}:
            return Answer(content=bomb, headers={"Content-Encoding": encoding, "Content-Type": "application/json"})
        link = {"rel": "search", "href": f"{running.address}/search", "method": "POST"}
        classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        root = {"type": "Catalog", "stac_version": "1.0.0", "id": "a", "description": "a", "conformsTo": classes}
        return Answer.of_json(root | {"links": [link]})

    with site(answer) as running, peak() as most:
        with pytest.raises(InvalidCatalogError, match="more than 4,194,304 bytes") as caught:
            asked_of(running.address)
        assert most() < 40e6
    assert caught.value.where["catalogue"] == running.address


def test_an_answer_that_drips_is_left_and_the_catalogue_is_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(asking, "ATTEMPT_S", 0.3)
    ended: list[bool] = []

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not ended:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    with listening(drip) as address:
        begun = time.monotonic()
        try:
            with pytest.raises(CatalogAwayError, match=r"not read within 0.3 s, 2 times") as caught:
                asked_of(address)
        finally:
            ended.append(True)
    assert time.monotonic() - begun < 10
    assert caught.value.exit_code == 1


def index(**changes: object) -> dict[str, Any]:
    known = {"version": 1, "bands": ["red"], "radiometry": "boa", "resolution": 10.0, "size": 16}
    return known | changes


INDICES: dict[str, str] = {
    "a size of 16 000": json.dumps(index(size=16_000)),
    "a size of 400 digits": json.dumps(index(size=10**400)),
    "a size that is true": json.dumps(index(size=True)),
    "many bands of a large size": json.dumps(index(size=8000, bands=["red", "green"])),
    "ten thousand bands": json.dumps(index(size=448, bands=[f"b{n}" for n in range(10_000)])),
    "a resolution of 400 digits": json.dumps(index(resolution=10**400)),
    "a resolution without end": json.dumps(index(resolution=float("inf"))),
    "a dilation of 400 digits": json.dumps(index(composite={"dilate_m": 10**400})),
    "lists in lists": "[" * 100_000,
    "a long version": json.dumps(index(version="x" * 1_000_000)),
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_of_chips_that_claims_too_much_is_refused(tmp_path: Path, name: str):
    (tmp_path / INDEX).write_text(INDICES[name])
    with peak() as most:
        with pytest.raises(InvalidDatasetError) as caught:
            open_chips(LocalFiles(root=str(tmp_path)))
        assert most() < 60e6
    assert len(str(caught.value)) < 4500


def test_the_good_index_is_read_so_that_refusals_mean_something(tmp_path: Path):
    (tmp_path / INDEX).write_text(json.dumps(index()))
    assert read_index(LocalFiles(root=str(tmp_path))).size == 16


def test_a_piece_of_an_array_that_unpacks_to_much_is_not_unpacked(tmp_path: Path):
    for folder in ("img", "mask"):
        (tmp_path / folder).mkdir()
    with h5py.File(tmp_path / "img" / "image_1.h5", "w") as file:
        made = file.create_dataset(
            "img", (128, 128, 14), maxshape=(None, None, 14), chunks=(4096, 4096, 14), dtype="f4", compression="gzip"
        )
        made.id.write_direct_chunk((0, 0, 0), gzip.compress(bytes(1000)))
    with h5py.File(tmp_path / "mask" / "mask_1.h5", "w") as file:
        file["mask"] = np.zeros((128, 128), np.uint8)
    dataset = open_landslide4sense(LocalFiles(root=str(tmp_path)), bands=("red",))
    with pytest.raises(InvalidDatasetError, match=r"in pieces of \(4096, 4096, 14\)"):
        dataset.read("image_1")
