"""What a new user does wrong, and whether the message alone says how it is put right; through the command they type."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.configuring.kinds import KINDS, begun
from landslide_scale.errors import InvalidConfigError
from landslide_scale.keys.advice import _places, nearest
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.registry.settings import Registry
from landslide_scale.strictyaml import Section, _problem

MISTAKES = {
    "a misspelt key": ("max_cloud_cover: 100.0", "max_cloudcover: 60", "did you mean max_cloud_cover?"),
    "a misspelt section": ("composite:", "composit:", "did you mean composite?"),
    "a key of another section": ("# Where the scenes are from.", "max_cloud_cover: 60", "belongs at catalog.max_cloud"),
    "a key of another kind": ("# The lattice of the cube.", "bands: [red]", "there are region, windows, catalog"),
    "a unit": ("resolution: 10", "resolution: 10 m", "the number alone, without its unit: 10"),
    "a unit without a space": ("dilate_m: 100.0", "dilate_m: 100m", "the number alone, without its unit: 100"),
    "a number in quotes": ("resolution: 10", 'resolution: "10"', "without quotes: 10"),
    "a number with a point": ("resolution: 10", "resolution: 10.0", "a whole number (without a point: 10)"),
    "a number in brackets": ("resolution: 10", "resolution: [10]", "without brackets: 10"),
    "a code with its authority": ("crs: null", "crs: EPSG:32633", "the code alone: 32633"),
    "a value out of range": ("max_cloud_cover: 100.0", "max_cloud_cover: 120", "expected: at most 100"),
    "a value for a list": ("clear: [4, 5, 6]", "clear: 4", "a list (as [4])"),
    "values for a list": ("clear: [4, 5, 6]", "clear: 4, 5, 6", "a list (as [4, 5, 6])"),
    "a mapping for a list": ("  - {start: 2024-10-01", "  {start: 2024-10-01", "each of its values begins with `- `"),
    "a misspelt word": ("method: median", "method: medain", "did you mean median?"),
    "a word in capitals": ("method: median", "method: Median", "did you mean median?"),
    "an unknown profile": ("profile: earth-search-c1", "profile: planetary", "did you mean planetary-computer?"),
    "half of a profile": ("profile: earth-search-c1", "profile: earthsearch", "did you mean earth-search-"),
    "a date with dots": ("start: 2024-10-01", "start: 01.10.2024", "an ISO date or instant, as 2024-10-01"),
    "a date with slashes": ("start: 2024-10-01", "start: 2024/10/01", "an ISO date or instant, as 2024-10-01"),
    "a day that there is not": ("end: 2024-12-01", "end: 2024-11-31", r"line \d+: 2024-11-31 \(day is out of range"),
    "other names of dates": ("start: 2024-10-01, end", "from: 2024-10-01, to", "expected {start: DATE, end: DATE}"),
    "a tab": ("  block: 2048", "\tblock: 2048", "line 1.., column 1.* indented by spaces: a tab is none"),
    "no space after a colon": ("block: 2048", "block:2048", "could not find expected ':'.* lines as `key: value`"),
    "another indentation": ("  block: 2048", "   block: 2048", "the keys of one section begin in one column"),
    "a list that does not end": ("[4, 5, 6]", "[4, 5, 6", r"a list that begins with \[ ends with \]"),
    "a section that is a value": ("output:", "output: runs/scan\nx:", "there are run, sharded"),
    "a box of three": ("28.05, 85.75, 28.2]", "28.05, 85.75]", "region.bbox.3: missing; expected: 4 values"),
    "a box of metres": ("[85.6, 28.05, 85.75, 28.2]", "[0, 51000, 9, 52000]", "expected degrees.* a box is in degrees"),
    "a number for a text": ("run: runs/scan", "run: 2024", 'in quotes: "2024"'),
    "a truth in quotes": ("sharded: true", 'sharded: "true"', "true or false (without quotes)"),
    "an address of another kind": ("url: null", "url: ftp://a.org", "expected: an address by http(s), as https://earth"),
    "a host as an address": ("allowed_hosts: []", "allowed_hosts: [https://a.org]", "no https:// and no folder"),
    "a section that is gone": ("output:", "outputs:", "key output: missing.*outputs: unknown .did you mean output"),
    "a key twice": ("block: 2048", "block: 2048\n  block: 1024", "key block twice"),
    "an asset's name that is none": ("assets: {}", "assets: {B04: red}", "1 to 64 lower-case letters, digits and _"),
    "an address as a bucket": ("buckets: {}", "buckets: {s3://x: https://x.y}", "a bucket's name alone, as my-bucket"),
    "a net to come": ("checkpoint: null", "checkpoint: no.safetensors", "`plan --bands red,green,blue` of a scan does"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_message_says_how_a_mistake_is_put_right(mistake: str, tmp_path: Path):
    right, wrong, said = MISTAKES[mistake]
    text = begun("scan")
    assert right in text
    path = tmp_path / "scan.yaml"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = CliRunner().invoke(app, ["plan", "--config", str(path)])
    assert done.exit_code == 2
    assert re.search(said if "\\" in said or ".*" in said else re.escape(said), done.output), done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "said"),
    [
        ("finetune", "kind: chips", "kind: chip", "did you mean chips?"),
        ("finetune", "name: landslidenet", "name: unet", "it is a key of another form of this section"),
        ("finetune", "epochs: 20", "epoch: 20", "did you mean epochs?"),
        ("finetune", "sha256: ec2d", "sha256: EC2D", "64 hexadecimal digits in lower case"),
        ("chips", "directory: runs/chips", "output: {run: runs/chips}", "there are region, labels"),
        ("benchmark", "kind: pairs", "kind: pair", "did you mean pairs?"),
    ],
)
def test_a_mistake_in_another_kind_is_put_right_alike(kind: str, right: str, wrong: str, said: str, tmp_path: Path):
    text = begun(kind)
    assert right in text
    path = tmp_path / "file.yaml"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = CliRunner().invoke(app, [kind, "--config", str(path)])
    assert done.exit_code == 2
    assert said in done.output


def test_what_is_unlike_any_word_is_not_guessed_at():
    assert nearest("landsat", ["earth-search-c1", "plain"]) == ""
    assert nearest("", ["plain"]) == ""
    assert nearest("PLAIN", ["earth-search-c1", "plain"]) == "plain"


def test_advice_repeats_no_key_of_an_address(tmp_path: Path):
    text = begun("scan").replace("allowed_hosts: []", "allowed_hosts: https://me:secret1@a.org/x?sig=secret2")
    path = tmp_path / "scan.yaml"
    path.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["plan", "--config", str(path)])
    assert done.exit_code == 2
    assert "expected: a list" in done.output
    assert "secret" not in done.output


def test_the_advice_is_on_the_file_as_it_is_written(tmp_path: Path):
    """What a file says is repeated as JSON and no Python."""
    path = tmp_path / "scan.yaml"
    path.write_text(begun("scan").replace("clear: [4, 5, 6]", "clear: true"), encoding="utf-8")
    done = CliRunner().invoke(app, ["plan", "--config", str(path)])
    assert "a list (as [true])" in done.output


MODELS = [*(kind.model for kind in KINDS.values()), RapidConfig, Registry]


JARGON = re.compile(r"Input should|\bvalid\b|should|\bpattern\b|Value error|dictionary|instance|tuple|[\^$]\[|pydantic")


def filled(value: object, schema: dict[str, Any], depth: int) -> dict[str, Any]:
    """A configuration in which every key down to a depth is a value, as far as the schema says what keys there are."""
    content: dict[str, Any] = {}
    paths = [place.split(".")[:depth] for place in _places(schema)]
    for *sections, key in paths:
        if not any(path[: len(sections) + 1] == [*sections, key] and len(path) > len(sections) + 1 for path in paths):
            inner = content
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[key] = value
    return content


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_value_of_any_key_is_refused_in_the_words_of_a_library(model: type[Section], depth: int):
    schema = model.model_json_schema()
    for value in (None, True, -7, 0, 10**9, 1.5, -1e300, "", "no such", "a" * 5000, [], [None], {}, {"x": 1}):
        said: list[str] = []
        try:
            model.model_validate_json(json.dumps(filled(value, schema, depth)))
        except ValidationError as error:  # its message as a whole would be cut
            said = [_problem(detail, schema) for detail in error.errors(include_url=False)]
        except InvalidConfigError as error:
            said = [str(error)]
        assert [one for one in said if JARGON.search(one)] == [], value
