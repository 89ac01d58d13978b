"""Configurations to begin with, and their schemas, through the command a user types."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import shapely
import yaml
from helpers.borderland import served
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.commands.configurations import KINDS
from landslide_scale.configuring import kinds
from landslide_scale.keys.schema import resolved
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.spec import ConvNetSpec
from landslide_scale.strictyaml import load, parse
from landslide_scale.training.settings import FinetuneConfig, finetune_job

begun, schema = partial(kinds.begun, kinds=KINDS), partial(kinds.schema, kinds=KINDS)
CONFIGS = Path(__file__).parents[2] / "configs"
COMMITTED = {
    "scan": [CONFIGS / "scan_region.yaml"],
    "chips": [CONFIGS / "chips.yaml"],
    "finetune": [CONFIGS / "finetune.yaml", CONFIGS / "finetune_paper.yaml"],
    "benchmark": sorted((CONFIGS / "benchmark").glob("*.yaml")),
    "rapid": [CONFIGS / "rapid.yaml", CONFIGS / "cluster" / "rapid.yaml"],
}


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


def written(kind: str, folder: Path, *words: str) -> Path:
    path = folder / f"{kind}.yaml"
    assert run("init", kind, "--out", str(path), *words)[0] == 0
    return path


def edited(path: Path, **changes: str) -> Path:
    """The file with other values of some keys, each of the first line that has it."""
    text = path.read_text(encoding="utf-8")
    for key, value in changes.items():
        text, count = re.subn(rf"(?m)^( *){key}: .*$", rf"\g<1>{key}: {value}", text, count=1)
        assert count == 1, key
    path.write_text(text, encoding="utf-8")
    return path


def uncommented(text: str, key: str) -> str:
    """The text with the commented section that begins with `key` put in place of the live one, if there is one."""
    lines = text.splitlines()
    first = lines.index(f"# {key}:")
    last = next(at for at in range(first, len(lines) + 1) if at == len(lines) or not lines[at].startswith("# "))
    section = [line.removeprefix("# ") for line in lines[first:last]]
    kept = lines[:first] + lines[last:]
    if f"{key}:" in kept:
        start = kept.index(f"{key}:")
        stop = next(at for at in range(start + 1, len(kept)) if not kept[at].startswith("  "))
        kept = kept[:start] + kept[stop:]
    return "\n".join([*kept, *section]) + "\n"


@pytest.mark.parametrize("kind", KINDS)
def test_what_init_writes_is_read_as_the_defaults_and_the_examples(kind: str, tmp_path: Path):
    model = KINDS[kind].model
    assert load(model, written(kind, tmp_path)) == parse(model, dict(KINDS[kind].example))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_says_what_it_means(kind: str):
    whole = schema(kind)
    lacking = [
        f"{name}.{key}"
        for name, section in {kind: whole, **whole["definitions"]}.items()
        for key, field in section.get("properties", {}).items()
        if not resolved(field, whole["definitions"]).get("description")
    ]
    assert lacking == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_in_what_init_writes(kind: str):
    text, whole = begun(kind), schema(kind)
    keys = {key for section in (whole, *whole["definitions"].values()) for key in section.get("properties", {})}
    missing = {key for key in keys if not re.search(rf"(?m)^[# ]*(- \{{.*)?\b{key}: ?", text)}
    assert missing == set()


def test_a_default_a_limit_and_a_unit_are_said_of_a_key():
    lines = begun("scan").splitlines()
    at = lines.index("  resolution: 10")
    assert lines[at - 1] == "  # Side of a pixel in whole metres (a whole number, 1 to 1000)."


@pytest.mark.parametrize("key", ["dem", "model"])
def test_a_section_in_comments_can_be_put_in_as_it_is(key: str, tmp_path: Path):
    kind = {"dem": "chips", "model": "finetune"}[key]
    path = tmp_path / "file.yaml"
    path.write_text(uncommented(begun(kind), key).replace("[red, green, blue]", "[red, slope]"), encoding="utf-8")
    config = load(KINDS[kind].model, path)
    assert (getattr(config, "dem", None) is not None) == (key == "dem")
    assert isinstance(getattr(config, "model", None), ConvNetSpec) == (key == "model")


def test_what_init_writes_for_finetuning_is_a_job(tmp_path: Path):
    assert finetune_job(load(FinetuneConfig, written("finetune", tmp_path))).base_sha256 is not None


def test_a_plan_of_rapid_mapping_asks_no_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = str(written("rapid", tmp_path))
    monkeypatch.chdir(tmp_path)
    code, said = run("plan", "--config", file)
    assert code == 0
    assert "no event is followed or given: `landslide-scale rapid --once` reads the feed" in " ".join(said.split())


def test_what_init_writes_for_rapid_mapping_needs_no_checkpoint_and_follows_no_made_up_event(tmp_path: Path):
    config = load(RapidConfig, written("rapid", tmp_path))
    assert (config.model, config.given) == ("none", ())
    assert config.dem is not None  # candidates are asked of slopes


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path):
    path = written("scan", tmp_path)
    path.write_text("mine", encoding="utf-8")
    code, said = run("init", "scan", "--out", str(path))
    assert (code, path.read_text(encoding="utf-8")) == (2, "mine")
    assert "is there already" in said


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


@pytest.fixture
def region(tmp_path: Path) -> Path:
    path = tmp_path / "region.geojson"
    shape = json.loads(shapely.to_geojson(shapely.box(17.992, 46.010, 18.008, 46.015)))
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": shape}), encoding="utf-8")
    return path


def test_what_init_writes_for_a_region_is_planned_before_anything_is_trained(
    catalogue: tuple[str, Path], region: Path, tmp_path: Path
):
    path = written("scan", tmp_path, "--region", str(region))
    url, folder = catalogue
    # The tests' own catalogue in place of Earth Search; of its bands there is red alone.
    text = path.read_text(encoding="utf-8").replace("2024-10-01, end: 2024-12-01", "2023-08-01, end: 2023-09-01")
    path.write_text(text, encoding="utf-8")
    edited(path, url=url, collection="made", profile="plain", allowed_roots=f"[{folder}]")
    command = [sys.executable, "-m", "landslide_scale", "plan", "--config", str(path), "--bands", "red"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 scenes" in done.stdout
    assert "no checkpoint: planned for one with bands red and patches of 112 px" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_region_is_looked_at_before_it_is_put_in(region: Path, tmp_path: Path):
    code, said = run("init", "chips", "--region", str(region))
    assert (code, f"file: {json.dumps(str(region))}" in said) == (0, True)
    own = said[: said.index("\nlabels:")].partition("region:")[2].partition("\n\n")[0]
    assert "example" not in own  # what was given is none
    assert "an example" in begun("chips")
    point = tmp_path / "point.geojson"
    point.write_text('{"type": "Point", "coordinates": [18.0, 46.0]}', encoding="utf-8")
    code, said = run("init", "scan", "--region", str(point))
    assert code == 2
    assert "a Point; expected a polygon" in said
    assert "region.bbox: [west, south, east, north]" in said
    code, said = run("init", "finetune", "--region", str(region))
    assert (code, "expected scan or chips" in said) == (2, True)


def checked(content: dict[str, Any], kind: str) -> list[str]:
    """Where an editor would draw a line; dates are texts to it."""
    return [error.message for error in jsonschema.Draft7Validator(schema(kind)).iter_errors(content)]


def as_an_editor_reads(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return json.loads(json.dumps(content, default=str))


@pytest.mark.parametrize("kind", KINDS)
def test_an_editor_accepts_what_is_accepted(kind: str, tmp_path: Path):
    code, said = run("schema", kind)
    jsonschema.Draft7Validator.check_schema(json.loads(said))
    assert (code, json.loads(said)) == (0, schema(kind))
    for path in (written(kind, tmp_path), *COMMITTED[kind]):
        assert checked(as_an_editor_reads(path), kind) == [], path


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("catalog", "max_cloudcover", 60),
        ("catalog", "profile", "earth-search"),
        ("catalog", "offset", "taken_off"),
        ("grid", "resolution", "10 m"),
        ("grid", "resolution", 0),
        ("composite", "clear", 4),
        ("region", "bbox", [1, 2, "three", 4]),
        ("output", "run", 3),
    ],
)
def test_an_editor_marks_what_is_refused(section: str, key: str, value: object, tmp_path: Path):
    content = as_an_editor_reads(written("scan", tmp_path))
    content[section][key] = value
    assert len(checked(content, "scan")) == 1
    content = as_an_editor_reads(tmp_path / "scan.yaml") | {"windows": [{"start": "01.08.2023", "end": "2023-09-01"}]}
    assert len(checked(content, "scan")) == 1
