"""An elevation model's Items: searched whenever they are from, frozen, and held to the same addresses as scenes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import shapely
from helpers.dems import COLLECTION, SECOND, Field, item, write
from helpers.scenes import COLLECTION as SCENES
from helpers.scenes import item as scene_item
from helpers.webserver import Answer, Site, site

from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import InvalidCatalogError, InvalidConfigError, PermanentReadError
from landslide_scale.grid import Lattice, Zone
from landslide_scale.imagery.elevation import read_elevation
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.reading import attempts
from landslide_scale.scan.settings import BEFORE, ScanConfig
from landslide_scale.scene import Access
from landslide_scale.stac.dem import DemTile, tiles
from landslide_scale.stac.frozen import DEM, freeze, load_items
from landslide_scale.stac.hrefs import access
from landslide_scale.stac.providers import DEM_PROFILES
from landslide_scale.stac.search import search_anytime
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

Profile = Literal["earth-search", "planetary-computer", "plain"]
NAME = "Copernicus_DSM_COG_10_N46_00_E015_00_DEM"
AREA = shapely.box(15.2, 46.2, 15.4, 46.4)


def tile(href: str, name: str = NAME, west: float = 15.0, south: float = 46.0) -> DemTile:
    return DemTile(id=name, bounds=(west, south, west + 1, south + 1), href=href, access=Access())


def test_items_of_any_date_or_none_are_found_and_give_the_same_tiles_once_frozen(tmp_path: Path):
    old = item(tile(str(tmp_path / "a.tif")))
    none = item(tile(str(tmp_path / "b.tif"), name="undated"))
    none["properties"] |= {"datetime": None, "start_datetime": "2010-12-12T00:00:00Z"}
    none["properties"]["end_datetime"] = "2015-01-16T00:00:00Z"
    far = item(tile(str(tmp_path / "c.tif"), name="far", west=40.0))
    scene = scene_item("a-scene")
    with serve([old, none, far, scene], [COLLECTION, SCENES]) as url:
        config = DemConfig(url=url, profile="plain", allowed_roots=(str(tmp_path),))
        found = search_anytime(config, AREA)
        assert [one["id"] for one in found] == [NAME, "undated"]
        run = RunDirectory(str(tmp_path / "run"))
        freeze(run, found, DEM)
        again = tiles(load_items(run, DEM), config)
        assert again == tiles(found, config)
        assert again[0] == DemTile(
            id=NAME, bounds=(15.0, 46.0, 16.0, 47.0), href=str(tmp_path / "a.tif"), access=access(config)
        )
    assert not run.exists("scenes.parquet")


@pytest.mark.parametrize(
    ("profile", "href", "read"),
    [
        (
            "earth-search",
            f"s3://copernicus-dem-30m/{NAME}/{NAME}.tif",
            f"https://copernicus-dem-30m.s3.eu-central-1.amazonaws.com/{NAME}/{NAME}.tif",
        ),
        ("earth-search", f"https://copernicus-dem-30m.s3.amazonaws.com/{NAME}/{NAME}.tif", ""),
        ("planetary-computer", f"https://elevationeuwest.blob.core.windows.net/copernicus-dem/COP30_hh/{NAME}.tif", ""),
    ],
)
def test_copernicus_tiles_are_read_from_public_storage_over_https(profile: Profile, href: str, read: str):
    config = DemConfig(profile=profile)
    (found,) = tiles([item(tile(href))], config)
    assert found.href == (read or href)
    assert found.access.section == "dem"
    assert (found.access.signer is not None) == (profile == "planetary-computer")
    assert DEM_PROFILES[profile].collection == "cop-dem-glo-30"


HREFS: dict[str, Callable[[Path, str], str]] = {
    "another bucket": lambda _, __: "s3://somebody-elses/dem.tif",
    "a bucket by a longer name": lambda _, __: "s3://copernicus-dem-30m.example/dem.tif",
    "vsicurl": lambda _, canary: f"/vsicurl/{canary}/dem.tif",
    "vsis3": lambda _, __: "/vsis3/copernicus-dem-30m/dem.tif",
    "a VRT inline": lambda root, _: f"<VRTDataset><SourceFilename>{root}</SourceFilename></VRTDataset>",
    "outside the roots": lambda root, _: str(root.parent / "outside" / "dem.tif"),
    "dots": lambda root, _: f"{root}/../outside/dem.tif",
    "a host that is not allowed": lambda _, canary: f"{canary}/dem.tif",
    "user before the host": lambda _, canary: canary.replace("//", "//127.0.0.1@") + "/dem.tif",
    "metadata service": lambda _, __: "http://169.254.169.254/latest/dem.tif",
}


@pytest.mark.parametrize("profile", ["earth-search", "plain"])
@pytest.mark.parametrize("name", HREFS)
def test_an_address_that_is_not_allowed_is_refused_by_tile_with_the_key_that_would_allow_it(
    tmp_path: Path, name: str, profile: Profile
):
    root = tmp_path / "root"
    root.mkdir()
    config = DemConfig(profile=profile, allowed_hosts=("127.0.0.1",), allowed_roots=(str(root),))
    with pytest.raises(InvalidCatalogError) as caught:
        tiles([item(tile(HREFS[name](root, "http://127.0.0.2:1")))], config)
    assert caught.value.where == {"dem": NAME}
    assert ("dem.buckets" if "bucket" in name else "dem.allowed_") in caught.value.cure


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def canary() -> Iterator[Site]:
    with site(lambda _: Answer(content=b"good"), host="127.0.0.2") as found:
        yield found
        assert found.asked == []


@pytest.mark.usefixtures("quick")
def test_a_good_address_is_read_and_what_an_allowed_host_answers_leads_nowhere_else(tmp_path: Path, canary: Site):
    place = {"west": 15.0, "north": 46.1, "width": SECOND, "height": SECOND}
    content = Path(write(tmp_path / "good.tif", np.full((64, 64), 500, np.float32), **place)).read_bytes()
    vrt = f"<VRTDataset><SourceFilename>/vsicurl/{canary.address}/dem.tif</SourceFilename></VRTDataset>".encode()
    answers = {
        "/good.tif": Answer(content=content),
        "/moved.tif": Answer.redirect(f"{canary.address}/dem.tif"),
        "/vrt.tif": Answer(content=vrt),
    }
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64)
    with site(lambda asked: answers[asked.path]) as front:
        config = DemConfig(profile="plain", allowed_hosts=("127.0.0.1:*",))
        box = lattice.box_covering((500_400, 5_105_000, 500_500, 5_105_100))

        def read(path: str) -> Field:
            return read_elevation(tiles([item(tile(f"{front.address}{path}"))], config), lattice, box)

        assert np.abs(read("/good.tif") - 500).max() < 1e-9
        for path in ("/moved.tif", "/vrt.tif"):
            with pytest.raises(PermanentReadError) as caught:
                read(path)
            assert caught.value.where["dem"] == NAME
        with pytest.raises(PermanentReadError, match=r"dem\.allowed_hosts"):
            read("/moved.tif")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"assets": {"other": {"href": "/x.tif"}}}, "dem.asset"),
        ({"id": "../x"}, "a name of letters"),
        ({"geometry": None}, "STAC"),
        ({"geometry": shapely.geometry.mapping(shapely.box(5e6, 46, 6e6, 47))}, "degrees"),
        ({"geometry": shapely.geometry.mapping(shapely.Point(15, 46))}, "degrees"),
        ({"geometry": {"type": "Point", "coordinates": [float("nan"), 46.0]}}, "degrees"),
        ({"assets": None}, "STAC"),
    ],
)
def test_an_item_that_is_no_tile_is_refused_by_name(changes: dict[str, Any], said: str):
    odd = item(tile("https://copernicus-dem-30m.s3.amazonaws.com/x.tif")) | changes
    with pytest.raises(InvalidCatalogError) as caught:
        tiles([odd], DemConfig())
    assert said in str(caught.value)
    assert "dem" in caught.value.where


# Configurations

SCAN: dict[str, Any] = {
    "region": {"bbox": [15.0, 46.0, 15.1, 46.1]},
    "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
    "model": {"checkpoint": "x.safetensors"},
    "output": {"run": "runs/x"},
}
CHIPS: dict[str, Any] = {
    "region": {"bbox": [15.0, 46.0, 15.1, 46.1]},
    "labels": {"file": "labels.geojson"},
    "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
    "directory": "chips",
}
EARTH_SEARCH: dict[str, Any] = {"profile": "earth-search"}
FINGERPRINT = "6f9db77556d44138f0a7dfc22f791aa034e7d9e4a2d81e643e74d7c260f0d74f"


def test_settings_of_a_scan_without_a_model_of_elevation_are_what_they_were():
    # Of a run that has none of the keys that came later.
    settings = parse(ScanConfig, SCAN).as_begun({section: {} for section, _ in BEFORE}).settings()
    assert "dem" not in settings
    said = json.dumps(settings, sort_keys=True)
    assert hashlib.sha256(said.encode()).hexdigest() == FINGERPRINT  # as computed before there was a section dem


def test_settings_hold_what_the_elevations_depend_on_and_not_where_they_are_kept():
    known = parse(ScanConfig, SCAN | {"dem": EARTH_SEARCH}).settings()
    assert known["dem"] == {
        "collection": None, "profile": "earth-search", "asset": None, "interpolation": "cubic"
    }  # fmt: skip
    places = {"url": "http://x", "allowed_hosts": ["x"], "allowed_roots": ["/x"], "signer": "https://x/{account}"}
    assert parse(ScanConfig, SCAN | {"dem": EARTH_SEARCH | places}).settings() == known
    for change in ({"collection": "cop-dem-glo-90"}, {"asset": "dem"}, {"profile": "plain"}):
        assert parse(ScanConfig, SCAN | {"dem": EARTH_SEARCH | change}).settings() != known


@pytest.mark.parametrize(
    ("bands", "dem", "key", "cure"),
    [
        (["red", "slope"], None, "dem", "Add `dem: {profile: earth-search}`"),
        (["red", "nir"], EARTH_SEARCH, "dem", "Leave dem out"),
        (["elevation", "slope"], EARTH_SEARCH, "bands", "at least one band of Sentinel-2"),
        (["red", "aspect"], EARTH_SEARCH, "bands", "elevation, slope"),
    ],
)
def test_chips_whose_bands_and_elevation_model_do_not_fit_are_refused(
    bands: list[str], dem: dict[str, Any] | None, key: str, cure: str
):
    with pytest.raises(InvalidConfigError) as caught:
        parse(ChipsConfig, CHIPS | {"bands": bands, "dem": dem})
    assert caught.value.where["key"] == key
    assert bands[-1] in caught.value.found
    assert cure in str(caught.value)


@pytest.mark.parametrize("content", [{"profile": "glo-30"}, {"assets": {}}, {"max_cloud_cover": 10}, "glo-30", True])
def test_other_keys_and_values_of_the_section_are_refused_by_name(content: object):
    with pytest.raises(InvalidConfigError, match="key dem"):
        parse(ScanConfig, SCAN | {"dem": content})


def test_a_plain_profile_needs_an_address():
    with pytest.raises(InvalidConfigError) as caught:
        search_anytime(DemConfig(profile="plain"), AREA)
    assert caught.value.where["key"] == "dem.url"
