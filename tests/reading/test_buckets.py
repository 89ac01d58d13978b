"""A bucket of one's own, from its Item to its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import cog, item
from helpers.webserver import Answer, site

from landslide_scale.errors import PermanentReadError
from landslide_scale.reading import attempts
from landslide_scale.reading.raster import read_sample
from landslide_scale.stac.items import scenes
from landslide_scale.stac.settings import CatalogConfig

VALUES = (np.arange(512 * 512) % 10_007).astype(np.uint16).reshape(512, 512)
PLACE = {"west": 500_000, "north": 5_200_000}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)


def test_pixels_of_a_bucket_are_read_by_its_address_though_that_is_in_a_private_network(tmp_path: Path):
    content = Path(cog(tmp_path / "red.tif", VALUES, **PLACE)).read_bytes()
    answers = {"/mine/33T/red.tif": Answer(content=content), "/theirs/red.tif": Answer(content=content)}
    with site(lambda asked: answers[asked.path]) as endpoint:
        config = CatalogConfig(profile="plain", buckets={"mine": f"{endpoint.address}/mine"})
        made = item("a", assets={"red": "s3://mine/33T/red.tif", "scl": "s3://mine/33T/red.tif"})
        (found,) = scenes([made], config, ("red",))
        assert np.array_equal(read_sample(found.href("red"), found.access), VALUES)
        assert endpoint.count("/mine/33T/red.tif") > 0


def test_a_bucket_that_redirects_elsewhere_is_not_followed(tmp_path: Path):
    content = Path(cog(tmp_path / "red.tif", VALUES, **PLACE)).read_bytes()
    with (
        site(lambda _: Answer(content=content), host="127.0.0.2") as canary,
        site(lambda _: Answer.redirect(f"{canary.address}/red.tif")) as endpoint,
    ):
        config = CatalogConfig(profile="plain", buckets={"mine": endpoint.address})
        made = item("a", assets={"red": "s3://mine/red.tif", "scl": "s3://mine/red.tif"})
        (found,) = scenes([made], config, ("red",))
        with pytest.raises(PermanentReadError):
            read_sample(found.href("red"), found.access)
        assert canary.asked == []
