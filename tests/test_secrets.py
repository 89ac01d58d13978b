"""No secret comes out: not in an error (its text, representation, pickle and chain), not in a log, not in a run."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from helpers.borderland import COLLECTION, border_tiles, configured, untrained, write_item
from helpers.scenes import cog, item
from helpers.webserver import Answer, Asked, Site, site

from landslide_scale.cards.file import read_card
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import CatalogAwayError, InvalidCatalogError, LandslideScaleError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.model import load_base
from landslide_scale.model.checkpoint import restore
from landslide_scale.reading import attempts
from landslide_scale.reading.raster import read_numbers
from landslide_scale.redaction import redacted, without_secrets
from landslide_scale.region.polygons import load as load_region
from landslide_scale.region.settings import RegionConfig
from landslide_scale.registry.entries import content_of
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Window, utc
from landslide_scale.stac.frozen import freeze, load_items, with_addresses
from landslide_scale.stac.search import search
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage import cache
from landslide_scale.storage.absence import patient
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import parse

SECRET = "xSECRETx"  # noqa: S105 a planted one
AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64)
BOX = PixelBox(row_start=-510_000, row_stop=-509_980, col_start=50_000, col_stop=50_020)
NOWHERE = f"http://user:{SECRET}@127.0.0.1:9/a/b?sig={SECRET}&key={SECRET}#{SECRET}"


def scan_settings(**changes: object) -> dict[str, Any]:
    known: dict[str, Any] = {
        "region": {"bbox": [15, 46, 16, 47]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "model": {"checkpoint": "c"},
        "output": {"run": "r"},
    }
    return known | changes


def read(href: str) -> None:
    read_numbers(href, LATTICE, BOX)


OUT_OF_REACH: dict[str, Callable[[Path], object]] = {
    "asset": lambda _: read(f"http://127.0.0.1:9/red.tif?sig={SECRET}"),
    "asset of an unknown host": lambda _: read(f"http://nowhere.invalid/red.tif?sig={SECRET}"),
    "asset of another ending": lambda _: read(f"http://127.0.0.1:9/red?sig={SECRET}"),
    "catalogue": lambda _: search(CatalogConfig(url=NOWHERE), AREA, [AUGUST]),
    "catalogue without scheme": lambda _: parse(ScanConfig, scan_settings(catalog={"url": f"nowhere?key={SECRET}"})),
    "checkpoint": lambda _: restore(NOWHERE),
    "registry of checkpoints": lambda _: content_of(NOWHERE),
    "head of a checkpoint": lambda _: read_card(NOWHERE),
    "base weights": lambda folder: load_base(NOWHERE, None, folder),
    "protocol that does not exist": lambda _: read_card(f"nosuch://user:{SECRET}@host/x?sig={SECRET}"),
    "run directory": lambda _: RunDirectory(f"nosuch://user:{SECRET}@host/x?sig={SECRET}"),
    "region": lambda _: load_region(RegionConfig(file=NOWHERE)),
    "region by GDAL's name": lambda _: load_region(RegionConfig(file=f"/vsicurl/{NOWHERE}")),
    "configuration": lambda _: parse(ScanConfig, scan_settings(catalog={"profile": NOWHERE})),
    "configured signer": lambda _: parse(ScanConfig, scan_settings(catalog={"signer": NOWHERE})),
    "configured number, long": lambda _: parse(
        ScanConfig, scan_settings(catalog={"max_cloud_cover": f"http://user:{'y' * 70}{SECRET}@host/"})
    ),
    "configured host": lambda _: parse(ScanConfig, scan_settings(catalog={"allowed_hosts": [NOWHERE]})),
}


def said_by(error: BaseException) -> str:
    """All that an error can say, here and in another process."""
    parts = [str(error), repr(error), "".join(traceback.format_exception(error))]
    return "".join(parts) + pickle.dumps(error).decode("latin-1")


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """All logs, those of GDAL's errors among them."""
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(cache, "WRITER_S", 0.0)
    caplog.set_level(logging.DEBUG, "rasterio")
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize("name", OUT_OF_REACH)
def test_what_cannot_be_reached_is_named_without_its_secrets(
    everything: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
):
    with patient(0), pytest.raises(LandslideScaleError) as caught:
        OUT_OF_REACH[name](tmp_path)
    assert SECRET not in said_by(caught.value)
    assert SECRET not in everything.text
    assert SECRET not in "".join(capfd.readouterr())


ANSWERS = {
    "404": Answer(status=404),
    "403": Answer(status=403),
    "503": Answer(status=503),
    "a web page": Answer(content=b"<html>"),
    "a redirect": Answer.redirect(f"http://127.0.0.2:9/elsewhere.tif?token={SECRET}"),
    "torn": Answer(content=b"II*\x00\x08\x00\x00\x00"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_asset_that_cannot_be_read_is_named_without_its_signature(
    everything: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], name: str
):
    with site(lambda _: ANSWERS[name]) as running, pytest.raises(LandslideScaleError) as caught:
        read(f"{running.address}/red.tif?sig={SECRET}%3D&se=2030")
    assert caught.value.where["file"] == f"{running.address}/red.tif"
    assert SECRET not in said_by(caught.value)
    assert SECRET not in everything.text
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_catalogue_that_fails_on_a_later_page_is_named_without_its_token(
    everything: pytest.LogCaptureFixture, status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("landslide_scale.reading.attempts.FIRST_WAIT_S", 0.001)

    def answer(asked: Asked) -> Answer:
        if asked.path == "/search":
            links = [{"rel": "next", "method": "GET", "href": f"{running.address}/page?token={SECRET}"}]
            return Answer.of_json({"type": "FeatureCollection", "features": [item("S2A_1")], "links": links})
        if asked.path == "/page":
            return Answer(status=status, content=f"/page?token={SECRET} is not known".encode())
        classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        root = {"type": "Catalog", "stac_version": "1.0.0", "id": "made", "description": "m", "conformsTo": classes}
        links = [{"rel": "search", "href": f"{running.address}/search", "method": "POST"}]
        return Answer.of_json(root | {"links": links})

    with site(answer) as running, pytest.raises((InvalidCatalogError, CatalogAwayError)) as caught:
        search(CatalogConfig(url=f"{running.address}?key={SECRET}", profile="plain"), AREA, [AUGUST])
    assert SECRET not in said_by(caught.value)
    assert SECRET not in everything.text


TEXTS = [
    ("https://user:xSECRETx@host/a.tif?sig=xSECRETx#xSECRETx", "https://host/a.tif"),
    ("url: /search?token=xSECRETx (Caused by x)", "url: /search (Caused by x)"),
    ("'.tif?sig=xSECRETx' not recognised", "'.tif' not recognised"),
    ("...2030&sig=xSECRETx' not recognised", "...2030&sig=...' not recognised"),
    ("X-Amz-Signature=xSECRETx&x", "X-Amz-Signature=...&x"),
    ("is it there? yes", "is it there? yes"),
    ("/plain/path.tif", "/plain/path.tif"),
]


@pytest.mark.parametrize(("text", "clean"), TEXTS)
def test_texts_are_cleaned_of_what_addresses_carry_and_of_nothing_else(text: str, clean: str):
    assert without_secrets(text) == clean


# Runs


def test_settings_that_a_run_keeps_hold_no_secret():
    settings = parse(
        ScanConfig,
        scan_settings(
            region={"file": f"https://user:{SECRET}@host/region.geojson?sig={SECRET}"},
            catalog={"url": NOWHERE, "signer": f"http://127.0.0.1/{SECRET}"},
            model={"checkpoint": NOWHERE, "base_weights": NOWHERE},
            output={"run": f"s3://key:{SECRET}@bucket/run"},
        ),
    ).settings()
    assert SECRET not in json.dumps(settings)
    assert settings["region"]["file"] == "https://host/region.geojson"


def signed_items(address: str) -> list[dict[str, Any]]:
    hrefs = {band: f"{address}/{band}.tif?sig={SECRET}" for band in ("red", "scl")}
    made = item("S2A_1", assets=hrefs | {"preview": f"{address}/preview?token={SECRET}"})
    made["links"] = [{"rel": "self", "href": f"{address}/items/S2A_1?token={SECRET}"}]
    return [made, item("S2A_2", assets={"red": f"{address}/2/red.tif", "scl": f"{address}/2/scl.tif"})]


def texts_of(path: Path) -> str:
    """All that a file says; Parquet is compressed, so its columns are read."""
    if path.suffix == ".parquet":
        return json.dumps(pq.read_table(path).to_pylist(), default=repr)
    return path.read_bytes().decode("latin-1")


def test_frozen_items_hold_no_signature_and_get_it_back_from_the_catalogue(tmp_path: Path):
    items = signed_items("http://127.0.0.1:8")
    run = RunDirectory(str(tmp_path))
    freeze(run, items)
    assert SECRET not in texts_of(tmp_path / "scenes.parquet")
    with serve(items, [{**COLLECTION, "id": "sentinel-2-l2a"}]) as url:
        config = CatalogConfig(url=url, profile="plain", allowed_hosts=("127.0.0.1",))
        again = {one["id"]: one for one in with_addresses(load_items(run), config)}
    for made in items:
        for band in ("red", "scl"):
            assert again[made["id"]]["assets"][band]["href"] == made["assets"][band]["href"]


def test_an_item_that_has_moved_or_gone_since_it_was_frozen_is_refused_by_name(tmp_path: Path):
    run = RunDirectory(str(tmp_path))
    freeze(run, signed_items("http://127.0.0.1:8"))
    for now in (signed_items("http://127.0.0.1:7"), signed_items("http://127.0.0.1:8")[1:]):
        with serve(now, [{**COLLECTION, "id": "sentinel-2-l2a"}]) as url:
            config = CatalogConfig(url=url, profile="plain", allowed_hosts=("127.0.0.1",))
            with pytest.raises(InvalidCatalogError, match="no longer") as caught:
                with_addresses(load_items(run), config)
        assert caught.value.where["scene"] == "S2A_1"
        assert SECRET not in said_by(caught.value)


def test_a_catalogue_without_signatures_is_not_asked_again(tmp_path: Path):
    run = RunDirectory(str(tmp_path))
    made = signed_items("http://127.0.0.1:8")[1]
    made["assets"]["preview"] = {"href": "http://127.0.0.1:8/preview.png?item=S2A_2"}
    freeze(run, [made])
    frozen = load_items(run)
    assert with_addresses(frozen, CatalogConfig(url="http://127.0.0.1:9", profile="plain")) == frozen


ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SECRET,
    "AZURE_STORAGE_SAS_TOKEN": f"sig={SECRET}",
    "PC_SDK_SUBSCRIPTION_KEY": SECRET,
}


@contextmanager
def signed_borderland(folder: Path, lost: set[str]) -> Iterator[tuple[str, Site]]:
    """The borderland behind signed addresses; files in `lost` cannot be had for now."""

    def answer(asked: Asked) -> Answer:
        if f"sig={SECRET}" not in asked.query:
            return Answer(status=403)
        name = asked.path.removeprefix("/")
        return Answer(status=503) if name in lost else Answer(content=(folder / name).read_bytes())

    with site(answer) as files:
        items = [write_item(folder, tile) for tile in border_tiles().values()]
        for one in items:
            for asset in one["assets"].values():
                asset["href"] = f"{files.address}/{Path(asset['href']).name}?sig={SECRET}&se=2030"
        with serve(items, [COLLECTION]) as url:
            yield url, files


def scan(settings: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "landslide_scale", "scan", "--config", str(settings), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | ENVIRONMENT)


@pytest.mark.slow
@pytest.mark.ray
def test_no_secret_comes_out_of_a_whole_scan_that_fails_in_part_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Standard output and error, the run directory, and what Ray's processes logged."""
    ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # sockets need a short path
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder))
    lost = {"d-red.tif"}
    checkpoint = untrained(tmp_path / "c.safetensors")
    try:
        with signed_borderland(tmp_path, lost) as (url, files):
            wanted = configured((url, tmp_path), checkpoint, tmp_path / "run")
            wanted["catalog"] = {"url": f"{url}?key={SECRET}", "profile": "plain", "collection": "made"}
            wanted["catalog"]["allowed_hosts"] = ["127.0.0.1:*"]
            settings = tmp_path / "scan.yaml"
            settings.write_text(json.dumps(wanted))
            failed = scan(settings)
            assert failed.returncode == 3, failed.stderr
            assert "scene d, band red" in failed.stdout
            assert f"{files.address}/d-red.tif" in failed.stdout
            lost.clear()
            resumed = scan(settings, "--resume")
            assert resumed.returncode == 0, resumed.stderr
        held = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
        assert {"run.json", "scenes.parquet"} <= {path.name for path in held}
        for name, text in {"first": failed, "second": resumed}.items():
            assert SECRET not in text.stdout + text.stderr, name
        assert [path for path in held if SECRET in texts_of(path)] == []
        logs = [path for path in ray_folder.rglob("*") if path.is_file()]
        assert len(logs) > 5
        assert [path.name for path in logs if f"sig={SECRET}" in texts_of(path)] == []
    finally:
        shutil.rmtree(ray_folder, ignore_errors=True)


def test_addresses_are_redacted_alike_everywhere():
    assert redacted(NOWHERE) == "http://127.0.0.1:9/a/b"
    assert redacted("/a/b?c") == "/a/b?c"


def test_a_good_signature_reads_so_that_refusals_mean_something(tmp_path: Path):
    path = cog(tmp_path / "red.tif", np.ones((20, 20), np.uint16), west=500_000, north=5_100_000)
    with site(lambda _: Answer(content=Path(path).read_bytes())) as running:
        read(f"{running.address}/red.tif?sig={SECRET}")
