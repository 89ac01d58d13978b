"""The way into a scan: what is read and made on it is read and made once, whichever way a run is begun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from helpers.borderland import BORDER, COLLECTION, border_tiles, configured, untrained, write_item
from helpers.plainrun import Restore, Roles, engine, silent

from landslide_scale.cards import file
from landslide_scale.cards.card import ModelCard
from landslide_scale.cards.file import read_card
from landslide_scale.demo.satellite.stac_server import serve
from landslide_scale.errors import RunConflictError
from landslide_scale.reports.scans import plan_lines
from landslide_scale.scan import driver, prepared
from landslide_scale.scan.pipeline.engine import _engine
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.stac import items
from landslide_scale.strictyaml import parse

FLAG = "earthsearch:boa_offset_applied"
AUGUST = {"start": "2023-08-01", "end": "2023-08-06"}
LATER = {"start": "2023-08-06", "end": "2023-09-01"}
SMALL = {"bbox": [BORDER - 0.01, 46.010, BORDER + 0.02, 46.013]}
"""Ground in both zones, which all scenes reach."""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Scenes whose offset is in question: their pixels carry it, as their catalogue says."""
    folder = tmp_path_factory.mktemp("scenes")
    made = [write_item(folder, tile) for tile in border_tiles().values()]
    for item in made:
        item["properties"][FLAG] = False
        item["assets"]["blue"] = item["assets"]["red"]
    with serve(made, [COLLECTION]) as url:
        yield url, folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a card was read from a checkpoint, and each Item made a scene."""
    counted: Counter[str] = Counter()
    card, scene = file._card, items._scene

    def counting_card(*given: object) -> ModelCard:
        counted["card"] += 1
        return card(*given)

    def counting_scene(item: dict[str, Any], *given: object) -> object:
        counted[item["id"]] += 1
        return scene(item, *given)

    monkeypatch.setattr(file, "_card", counting_card)
    monkeypatch.setattr(items, "_scene", counting_scene)
    return counted


def sure(card: ModelCard) -> Restore:
    """A network that is sure of everything; it is not read from a file."""

    class Sure(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.ones_like(images[:, :1])

    return lambda *_, **__: (Sure(), card)


ONCE = {"card": 1, "a": 1, "b": 1, "c": 1, "d": 1}


@pytest.mark.parametrize("profile", ["plain", "earth-search-v1"])
def test_a_scan_reads_the_card_once_and_makes_each_item_a_scene_once(
    catalogue: tuple[str, Path], model: str, made: Counter[str], tmp_path: Path, profile: str
):
    loading = sure(read_card(model))
    made.clear()
    settings = configured(
        catalogue, model, tmp_path / "run", catalog={"profile": profile}, region=SMALL, windows=[AUGUST]
    )
    config = parse(ScanConfig, settings)
    first = driver.begin(config, engine(config, Roles(), load=loading), resume=False, progress=silent)
    assert first.complete
    assert made == {name: 1 for name in ONCE if name != "d"}  # it is of no window
    made.clear()
    assert driver.begin(config, engine(config, Roles()), resume=True, progress=silent).complete
    assert made == {name: 1 for name in ONCE if name != "d"}
    made.clear()
    longer = parse(ScanConfig, settings | {"windows": [AUGUST, LATER]})
    assert driver.append(longer, engine(longer, Roles(), load=loading), progress=silent).complete
    assert made == ONCE
    made.clear()
    assert driver.prepare(longer).survey.plan.quarantined == ()
    assert made == ONCE


def test_suspiciously_few_scenes_are_said_once_by_a_plan_in_its_lines_and_by_a_scan_when_it_begins(
    catalogue: tuple[str, Path], model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    config = parse(ScanConfig, configured(catalogue, model, tmp_path / "run"))
    told = plan_lines(driver.prepare(config))
    (few,) = [line for line in told if line.startswith("suspiciously few scenes in made from 2023-08-01 to 2023-09-01")]
    assert caplog.messages == []
    begun = driver.begin(config, engine(config, Roles(), load=sure(read_card(model))), resume=False, progress=silent)
    assert begun.complete
    assert caplog.messages == [few]
    driver.begin(config, engine(config, Roles()), resume=True, progress=silent)
    assert caplog.messages == [few]


def test_the_pixels_that_were_asked_are_those_of_new_and_doubtful_scenes_alone(
    catalogue: tuple[str, Path], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    ask = prepared.settled.__globals__["ask_pixels"]

    def asking(scenes: list[Any]) -> object:
        asked.extend(scene.id for scene in scenes)
        return ask(scenes)

    monkeypatch.setitem(prepared.settled.__globals__, "ask_pixels", asking)
    loading = sure(read_card(model))
    told, known = {"profile": "plain", "offset": "in_numbers"}, ["a", "b", "c"]
    cases = [(told, [], []), ({"profile": "plain"}, known, ["d"]), ({"profile": "earth-search-v1"}, known, ["d"])]
    for number, (catalog, first, later) in enumerate(cases):
        settings = configured(catalogue, model, tmp_path / str(number), catalog=catalog, region=SMALL, windows=[AUGUST])
        config, longer = parse(ScanConfig, settings), parse(ScanConfig, settings | {"windows": [AUGUST, LATER]})
        asked.clear()
        driver.begin(config, engine(config, Roles(), load=loading), resume=False, progress=silent)
        assert sorted(asked) == first
        driver.append(longer, engine(longer, Roles(), load=loading), progress=silent)
        assert sorted(asked) == sorted(first + later)
        driver.begin(longer, engine(longer, Roles()), resume=True, progress=silent)
        assert sorted(asked) == sorted(first + later)


def test_a_predictor_loads_the_checkpoint_and_base_weights_that_are_configured(tmp_path: Path):
    settings = configured(("http://127.0.0.1:9", tmp_path), "band.safetensors", tmp_path / "run")
    settings["model"]["base_weights"] = "sam.pth"
    given: list[object] = []
    made = _engine(parse(ScanConfig, settings), lambda *places, **named: given.append((places, named)))
    made.keywords["how"].load()
    base = str(Path("sam.pth").absolute())
    assert given == [((str(Path("band.safetensors").absolute()),), {"base_url": base, "sha256": None})]


def test_a_complete_run_with_older_processings_has_nothing_left_to_do(model: str, tmp_path: Path):
    tiles = border_tiles()
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    made = [write_item(scenes, tile) for tile in tiles.values()]
    for name in ("a", "d"):
        older = write_item(scenes, replace(tiles[name], name=f"{name}-older"))
        older["properties"] |= {"s2:processing_baseline": "05.00", "s2:datastrip_id": f"S2A_DS_{name}"}
        made.append(older)
    with serve(made, [COLLECTION]) as url:
        settings = configured((url, scenes), model, tmp_path / "run", region=SMALL, catalog={"offset": "in_numbers"})
        config = parse(ScanConfig, settings)
        loading = sure(read_card(model))
        assert driver.begin(config, engine(config, Roles(), load=loading), resume=False, progress=silent).complete
    planned = driver.prepare(config).survey.plan.units
    assert {"a-older", "d-older"} <= {scene.id for unit in planned for scene in unit.scenes}

    def refuse(_: object) -> NoReturn:
        pytest.fail("a unit of a complete run was to be done again")

    assert driver.begin(config, refuse, resume=True, progress=silent).complete


@pytest.mark.parametrize("known", ['{"kind": "scan", "settings": null, "state": "running"}', "torn{", '{"other": 1}'])
def test_a_folder_of_something_else_is_refused_when_it_is_taken_and_planned_for_all_the_same(
    catalogue: tuple[str, Path], model: str, tmp_path: Path, known: str
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(known)
    config = parse(ScanConfig, configured(catalogue, model, tmp_path / "run"))
    assert driver.prepare(config).survey.plan.units
    for resume in (False, True):
        with pytest.raises(RunConflictError):
            driver.begin(config, engine(config, Roles()), resume=resume, progress=silent)
    with pytest.raises(RunConflictError):
        driver.append(config, engine(config, Roles()), progress=silent)
