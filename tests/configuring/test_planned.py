"""`plan` of each kind of configuration: what it finds is said, what is wrong is refused, and nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.borderland import served
from helpers.chipping import REGION, SCAR
from helpers.webserver import Answer, Asked, site
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.commands.configurations import KINDS as EVERY_KIND
from landslide_scale.configuring.kinds import KINDS, begun, kind_of
from landslide_scale.errors import InvalidConfigError
from landslide_scale.grid import project
from landslide_scale.labels.foreseen import foresee
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.reading.raster import burn
from landslide_scale.strictyaml import parse

TINY = {"sam": "vit_t", "upsample": 1, "bands": ["red"]}


def typed(folder: Path, settings: dict[str, Any], *words: str) -> tuple[int, str]:
    """What `plan` says of a configuration; whatever it says, the folder holds what it held."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings))
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(app, ["plan", "--config", str(path), *words])
    assert sorted(folder.rglob("*")) == before
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        place = {"url": url, "profile": "plain", "collection": "made", "offset": "in_numbers"}
        yield place | {"allowed_roots": [str(folder)], "allowed_hosts": ["127.0.0.1:*"]}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def of_init(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(folder)
    return yaml.safe_load(begun(kind))


@pytest.fixture
def chips(tmp_path: Path, catalogue: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `init` writes, with the tests' own catalogue, which has one band and one month."""
    for name, shape in (("labelled_ground", REGION), ("landslides", SCAR)):
        (tmp_path / f"{name}.geojson").write_text(json.dumps(shape.__geo_interface__))
    of_tests = {"catalog": catalogue, "windows": [{"start": "2023-08-01", "end": "2023-09-01"}], "bands": ["red"]}
    return of_init("chips", tmp_path, monkeypatch) | of_tests | {"size": 32}


def images(folder: Path, count: int = 8, bands: tuple[str, ...] = ("red", "green", "blue")) -> Path:
    """A set of chips, of which all but one show a landslide."""
    folder.mkdir(parents=True)
    facts = {"version": 1, "bands": list(bands), "radiometry": "boa", "resolution": 10.0, "size": 224}
    (folder / "chips.json").write_text(json.dumps(facts))
    for number in range(count):
        label = np.zeros((224, 224), np.uint8)
        label[:9, :9] = number > 0
        np.savez(folder / f"{number}.npz", image=np.ones((len(bands), 224, 224), np.float32), label=label)
    return folder


def test_of_kinds_that_know_as_many_keys_the_one_that_is_whole_is_meant():
    assert kind_of(["model", "output"], EVERY_KIND) == "rapid"
    assert kind_of(["region", "window", "output"], EVERY_KIND) == "scan"
    assert kind_of(["dataset", "train", "output"], EVERY_KIND) == "finetune"


def test_what_init_writes_for_chips_is_planned_window_by_window(chips: dict[str, Any], tmp_path: Path):
    code, said = typed(tmp_path, chips)
    assert (code, "12 chips of 32 px from 3 scenes, 1 polygons read" in said) == (0, True), said
    places = foresee(parse(ChipsConfig, chips)).survey.plan.units
    scars = [burn([project(SCAR, 4326, one.lattice.zone.epsg)], one.lattice, one.box).any() for one in places]
    assert f"2023-08-01 to 2023-09-01: 3 scenes, 12 chips, {sum(scars)} of them with landslides" in said


def test_labels_that_lie_elsewhere_are_said_with_where_both_are(chips: dict[str, Any], tmp_path: Path):
    (tmp_path / "landslides.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[46, 17.9], [46.1, 17.9], [46.1, 18], [46, 17.9]]]}'
    )
    code, said = typed(tmp_path, chips)
    assert code == 0
    assert "no label meets the region" in said
    assert "the labels lie within 46.000 17.900 46.100 18.000, the region within 17.988 46.008 17.998 46.016" in said
    assert "0 of them with landslides" in said


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"region": {"bbox": [46.0, 17.9, 46.1, 18.0]}}, "region.bbox is west, south, east, north: longitude first"),
        ({"region": {"bbox": [17.998, 46.0, 17.99, 46.1]}}, "expected west, south, east, north with west < east"),
        ({"windows": [{"start": "2023-09-01", "end": "2023-08-01"}]}, "expected start before end"),
        ({"labels": {"file": "landslide.geojson"}}, "file landslide.geojson: no such file"),
        ({"composit": {}}, "key composit: unknown (did you mean composite?)"),
        ({"directory": "."}, "no run.json, but "),
        ({"bands": ["nir"]}, "Name it under catalog.assets where the catalogue calls it otherwise; expected a scene"),
    ],
)
def test_chips_that_cannot_be_made_are_refused_with_the_cure(
    changes: dict[str, Any], complaint: str, chips: dict[str, Any], tmp_path: Path
):
    code, said = typed(tmp_path, chips | changes)
    assert (code, complaint in said, len(said.splitlines())) == (2, True, 1), said


def finetune(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 JSON
    base = {"dataset": {"kind": "chips", "path": str(folder / "data")}, "model": TINY | {"bands": ["red", "green"]}}
    return base | {"output": {"run": str(folder / "run")}} | changes


def test_a_fine_tuning_is_planned_with_its_parts_and_weights(tmp_path: Path):
    images(tmp_path / "data")
    code, said = typed(tmp_path, finetune(tmp_path))
    assert code == 0, said
    assert "8 images of 224 x 224 px" in said
    assert "bands red, green, boa" in said
    parts = [line for line in said.splitlines() if "of them with landslides" in line]
    assert sum(int(line.split()[0]) for line in parts) == 8
    assert sum(int(line.split(", ")[1].split()[0]) for line in parts) == 7
    assert "weights: random ones" in said


def test_weights_that_are_to_be_fetched_are_asked_for_and_not_fetched(tmp_path: Path):
    images(tmp_path / "data")
    asked: list[str] = []

    def answer(request: Asked) -> Answer:
        asked.append(request.method)
        return Answer(content=b"x" * 2_000_000) if request.path == "/sam.pth" else Answer(status=404)

    with site(answer) as server:
        for name, code, complaint in (
            ("sam.pth", 0, "of 2 MB, are there to be fetched"),
            ("san.pth", 2, "FileNotFoundError"),
        ):
            weights = {"url": f"{server.address}/{name}", "sha256": hashlib.sha256(b"x").hexdigest()}
            found, said = typed(tmp_path, finetune(tmp_path, base_weights=weights))
            assert (found, complaint in said) == (code, True), said
    assert list(Path(tmp_path).glob("**/*.pth")) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"train": {"learning_rate": "2e-4"}}, "without quotes: 2e-4"),
        ({"model": TINY | {"bands": ["red", "slope"]}}, "no band slope among red, green, blue; expected every band"),
        ({"dataset": {"kind": "chips", "path": "."}}, "expected the index of a whole set of chips"),
        ({"base_weights": {"url": "/no/sam.pth", "sha256": "0" * 64}}, "sam.pth"),
        ({"trian": {"epochs": 3}}, "key trian: unknown (did you mean train?)"),
        ({"train": {"patch": 100}}, "expected a multiple of 16"),
    ],
)
def test_a_fine_tuning_that_cannot_be_is_refused_with_the_cure(changes: dict[str, Any], complaint: str, tmp_path: Path):
    images(tmp_path / "data")
    code, said = typed(tmp_path, finetune(tmp_path, **changes))
    assert (code, complaint in said, len(said.splitlines())) == (2, True, 1), said


def test_a_benchmark_is_planned_with_all_its_data_and_models(tmp_path: Path):
    images(tmp_path / "data")
    settings = {
        "datasets": {"made": {"kind": "chips", "path": str(tmp_path / "data")}},
        "models": {"Tiny": TINY, "UNet": {"name": "unet", "encoder": "resnet18", "bands": ["red"], "upsample": 1}},
        "train": {"patch": 96},
        "output": {"run": str(tmp_path / "run")},
    }
    code, said = typed(tmp_path, settings)
    assert code == 0, said
    assert "made: chips at" in said
    assert "UNet: weights: random ones" in said
    assert "4 trainings: every model on every data set, with each seed" in said
    settings["datasets"] = {"made": {"kind": "chips", "path": str(tmp_path)}}
    assert typed(tmp_path, settings)[0] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_known_by_most_of_its_keys_also_with_one_misspelt(kind: str):
    keys = list(KINDS[kind].example)
    assert kind_of(keys) == kind
    for wrong in keys:
        if len(keys) > 2:
            assert kind_of([f"x{key}" if key == wrong else key for key in keys]) == kind


def test_what_is_no_configuration_is_refused(tmp_path: Path):
    with pytest.raises(InvalidConfigError, match="expected a configuration of scan, chips, finetune, benchmark"):
        kind_of(["a", "b"])
    code, said = typed(tmp_path, {"dataset": {}, "output": {}}, "--bands", "red")
    assert (code, "key --bands: bands for finetune" in said) == (2, True)
