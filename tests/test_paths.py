"""One rule for every path: what people write is put in, what no store could hold is refused first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from landslide_scale.errors import InvalidConfigError
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paths import JOB_MARK, expanded, input_place, output_place
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse
from landslide_scale.training.settings import FinetuneConfig, finetune_job

WINDOWS = [{"start": "2023-08-01", "end": "2023-09-01"}]
BOX = {"bbox": [14.0, 46.0, 15.0, 47.0]}
SHA = "0" * 64

KEYS: tuple[tuple[type[BaseModel], str], ...] = (
    (ScanConfig, "region.file"),
    (ScanConfig, "catalog.items"),
    (ScanConfig, "catalog.allowed_roots"),
    (ScanConfig, "dem.items"),
    (ScanConfig, "dem.allowed_roots"),
    (ScanConfig, "model.checkpoint"),
    (ScanConfig, "model.base_weights"),
    (ScanConfig, "output.run"),
    (ChipsConfig, "labels.file"),
    (ChipsConfig, "directory"),
    (FinetuneConfig, "dataset.path"),
    (FinetuneConfig, "base_weights.url"),
    (FinetuneConfig, "output.run"),
    (BenchmarkConfig, "output.run"),
    (BenchmarkConfig, "datasets.made.path"),
    (BenchmarkConfig, "base_weights.net.url"),
)


def plain(kind: type[BaseModel]) -> dict[str, Any]:
    """The least of a configuration, without a path that is relative."""
    data, run = {"kind": "bijie", "path": "/data"}, {"run": "/runs/a"}
    return {
        ScanConfig: {"region": BOX, "windows": WINDOWS, "model": {"checkpoint": "/m"}, "output": run},
        ChipsConfig: {"region": BOX, "labels": {"file": "/drawn.geojson"}, "windows": WINDOWS, "directory": "/chips"},
        FinetuneConfig: {"dataset": data, "output": run},
        BenchmarkConfig: {"datasets": {"made": data}, "models": {"net": {"sam": "vit_t"}}, "output": run},
    }[kind]


def with_path(kind: type[BaseModel], key: str, path: str) -> dict[str, Any]:
    content = json.loads(json.dumps(plain(kind)))
    place, (*sections, last) = content, key.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    if last == "file":
        place.pop("bbox", None)
    place[last] = [path] if last == "allowed_roots" else path
    if last == "url":
        place["sha256"] = SHA
    return content


def found(config: object, key: str) -> str:
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config[0] if isinstance(config, tuple) else str(config)


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_home_and_variables_are_put_in_alike_in_every_key(
    kind: type[BaseModel], key: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/my")
    monkeypatch.setenv("SEASON", "autumn")
    for written, meant in (
        ("~/a", "/home/me/a"),
        ("$SCRATCH/a", "/scratch/my/a"),
        ("${SCRATCH}_2/a", "/scratch/my_2/a"),
        ("${NOWHERE:-/else}/a", "/else/a"),
        ("${SCRATCH:-/else}/a", "/scratch/my/a"),
        ("/cost$$/a", "/cost$/a"),
        ("/a~/$SCRATCH", "/a~//scratch/my"),
        ("s3://bucket/$SEASON", "s3://bucket/autumn"),
        ("file:///a b/c", "file:///a b/c"),
        ("relative/a", "relative/a"),
    ):
        assert found(parse(kind, with_path(kind, key, written)), key) == meant


@pytest.mark.parametrize(("kind", "key"), KEYS)
@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("$NOWHERE/a", "Set NOWHERE"),
        ("${NOWHERE}/a", "Set NOWHERE"),
        ("$EMPTY/a", "Set EMPTY"),
        ("a/$", r"\$NAME"),
        ("a/${}", r"\$NAME"),
        ("$1/a", r"\$NAME"),
        ("$MY_SECRET_KEY/a", "no secret"),
        ("~nobody_of_that_name/a", "~nobody_of_that_name"),
        ("", "a path or URL"),
        ("  ", "a path or URL"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("$LINES_/a", "control characters"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("a/" * 2000, "3800"),
        ("s3:/bucket/a", "s3://"),
        ("file:/a", "file:///"),
        ("file://a/b", "three slashes"),
        ("file:///a%20b", "without %"),
        ("s3:///a", "bucket"),
        ("s3://bucket/a//b", "without empty names"),
        ("s3://bucket/../b", "without empty names"),
        ("s3://bucket/" + "a/" * 600, "900 bytes"),
    ],
)
def test_what_cannot_be_a_path_is_refused_by_key_and_without_values_of_variables(
    kind: type[BaseModel], key: str, written: str, why: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("LINES_", "hidden\nvalue")
    monkeypatch.setenv("MY_SECRET_KEY", "hidden value")
    with pytest.raises(InvalidConfigError, match=why) as caught:
        parse(kind, with_path(kind, key, written))
    assert key.rsplit(".", maxsplit=1)[-1] in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("place", ["runs/a::b", "simplecache::s3://bucket/a", "zip://a::/b.zip"])
def test_an_output_is_no_chain_of_file_systems(place: str):
    with pytest.raises(InvalidConfigError, match="without ::"):
        output_place(place)


def test_a_slash_at_the_end_of_an_output_means_nothing():
    assert output_place("s3://bucket/a/") == "s3://bucket/a"
    assert output_place("runs/a//") == "runs/a"
    assert output_place("/") == "/"


def test_a_value_is_put_in_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ODD", "/a$HOME/~")
    assert expanded("$ODD") == "/a$HOME/~"
    config = parse(FinetuneConfig, plain(FinetuneConfig) | {"dataset": {"kind": "bijie", "path": "$ODD"}})
    assert finetune_job(config).data.path == "/a$HOME/~"


def test_in_a_job_outputs_are_given_in_full_and_inputs_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(JOB_MARK, "{}")
    (tmp_path / "region.geojson").write_text("{}")
    for place in ("/shared/a", "s3://bucket/a", "file:///shared/a"):
        assert output_place(place) == place
        assert input_place(place) == place
    assert input_place("region.geojson") == "region.geojson"
    for rule, place, why in ((output_place, "runs/a", "temporary copy"), (input_place, "runs/a", "gitignore")):
        with pytest.raises(InvalidConfigError, match=why):
            rule(place)
