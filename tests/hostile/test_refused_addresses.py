"""Servers that refuse a signed address: one line, the right exit code, and no signature in it or in any trace."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely
from helpers.webserver import Answer, site

from landslide_scale.cards.file import identified, read_card
from landslide_scale.datasets.files import files_at
from landslide_scale.errors import LandslideScaleError
from landslide_scale.model import load_base
from landslide_scale.model.checkpoint import restore
from landslide_scale.reading import asking, attempts
from landslide_scale.region.drawn import draw
from landslide_scale.region.polygons import load
from landslide_scale.region.settings import LabelsConfig, RegionConfig
from landslide_scale.registry.entries import content_of
from landslide_scale.runtime.console import run_guarded
from landslide_scale.scene import Window, utc
from landslide_scale.stac.search import search
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage import absence, cache
from landslide_scale.storage.absence import patient

pytestmark = pytest.mark.hostile

QUERY = "?X-Amz-Credential=xSECRETx&X-Amz-Signature=xSECRETx"
AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)

USES: dict[str, Callable[[str, Path], object]] = {
    "card": lambda at, _: read_card(f"{at}/c.safetensors{QUERY}"),
    "checkpoint": lambda at, _: restore(f"{at}/c.safetensors{QUERY}"),
    "checkpoint to be added": lambda at, _: identified(f"{at}/c.safetensors{QUERY}"),
    "base weights": lambda at, folder: load_base(f"{at}/b.pth{QUERY}", None, folder),
    "base weights of a hash": lambda at, folder: load_base(f"{at}/b.pth{QUERY}", "0" * 64, folder),
    "size of base weights": lambda at, _: cache.bytes_to_fetch(f"{at}/b.pth{QUERY}", "1" * 64),
    "region": lambda at, _: load(RegionConfig(file=f"{at}/r.geojson{QUERY}")),
    "labels": lambda at, _: draw(LabelsConfig(file=f"{at}/r.geojson{QUERY}")),
    "registry": lambda at, _: content_of(f"{at}/r.yaml{QUERY}"),
    "Items": lambda at, _: search(CatalogConfig(items=f"{at}/i.json{QUERY}", profile="plain"), AREA, [AUGUST]),
    "catalogue": lambda at, _: search(CatalogConfig(url=f"{at}/{QUERY}", profile="plain"), AREA, [AUGUST]),
    "images": lambda at, _: files_at(at).read(f"a.tif{QUERY}"),
}
LAST = {429: 1, 500: 1, 502: 1, 503: 1}
"""What may pass: the same command may work later."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(asking, "ATTEMPTS", 2)
    monkeypatch.setattr(cache, "WRITER_S", 0.0)


@pytest.mark.parametrize("status", [401, 403, 410, 416, 429, 500, 502, 503])
@pytest.mark.parametrize("name", USES)
def test_a_status_of_a_server_is_one_line_with_the_right_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, name: str, status: int
):
    raised: list[BaseException] = []

    def use() -> int:
        try:
            USES[name](running.address, tmp_path)
        except LandslideScaleError as error:
            raised.append(error)
            raise
        return 0

    with site(lambda _: Answer(status=status)) as running, patient(0):
        code = run_guarded(use)
    said = capsys.readouterr().err
    assert code == LAST.get(status, 2)
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    for text in (said, caplog.text, *("".join(traceback.format_exception(error)) for error in raised)):
        assert "SECRET" not in text
    assert [path for path in tmp_path.rglob("*") if "SECRET" in path.name] == []


def test_a_fault_of_our_own_ends_a_command_without_the_secrets_that_a_library_put_in_it(
    capsys: pytest.CaptureFixture[str],
):
    def fault() -> int:
        try:
            return {}[f"https://user:xSECRETx@host/a{QUERY}"]
        except KeyError as error:
            raise RuntimeError(f"GET /a{QUERY} failed") from error

    assert run_guarded(fault) == 1
    said = capsys.readouterr().err
    assert "RuntimeError: GET /a" in said
    assert "Traceback" in said
    assert "SECRET" not in said
