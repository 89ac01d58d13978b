"""A registry of one's own, through the commands a user types: made, read, and refused where it is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.registering import Type, entry, text_of
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.provenance import ImageFacts
from landslide_scale.registry.adding import item
from landslide_scale.registry.entries import entries_of, user_registry
from landslide_scale.registry.settings import Entry, checkpoint_place, is_name
from landslide_scale.strictyaml import parse

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noto", True),
        ("Noto-2024_b", True),
        ("./noto", False),
        ("runs/noto", False),
        ("noto.safetensors", False),
        ("s3://bucket/noto", False),
        ("~", False),
        ("$HOME", False),
        ("-noto", False),
        ("noto\n", False),
        ("n" * 64, True),
        ("n" * 65, False),
    ],
)
def test_a_name_has_neither_slash_nor_dot_nor_scheme(text: str, *, expected: bool):
    assert is_name(text) == expected


def test_a_name_is_no_relative_path_in_a_submitted_job(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert checkpoint_place("noto") == "noto"
    with pytest.raises(Exception, match="not in the folder that was submitted"):
        checkpoint_place("runs/noto.safetensors")


def test_an_empty_list_says_why_and_where_ones_own_would_be(typed: Type, registry: Path):
    code, said = typed("models", "list")
    assert code == 0
    assert "none comes with this package" in said
    assert f"your registry: {registry}, 0 checkpoints" in said


def test_what_is_added_is_listed_shown_and_found_by_its_card(typed: Type, registry: Path, checkpoint: Path):
    registry.write_text("# my checkpoints\n")
    words = ("--data", 'made: "random" weights', "--licence", "Apache-2.0", "--held-out", "Noto 2024=0.41")
    assert typed("models", "add", str(checkpoint), "--name", "first", *words)[0] == 0
    code, said = typed("models", "add", str(checkpoint), "--name", "second", *words)
    assert (code, said) == (0, f"second is listed in {registry}\n")
    assert registry.read_text().startswith("# my checkpoints\ncheckpoints:\n  - name:")
    listed = typed("models", "list")[1]
    assert "first: red, boa, pixels of unknown size" in listed
    assert f"{registry}, 2 checkpoints" in listed
    shown = typed("models", "show", "second")[1].splitlines()
    expected = entry(checkpoint, str(checkpoint))
    for line in (
        f"file: {checkpoint}",
        f"bytes: {expected['bytes']:,}",
        f"sha256: {expected['sha256']}",
        'data: made: "random" weights',
        "held out, Noto 2024: landslide F1 0.41",
        "on this machine: as that file",
    ):
        assert line in shown
    assert typed("models", "fetch", "first") == (0, f"{checkpoint}\n")


def test_an_entry_is_taken_out_and_what_else_is_there_stays(typed: Type, registry: Path, checkpoint: Path):
    told = ("--data", "d", "--licence", "l")
    for name in ("first", "second", "third"):
        assert typed("models", "add", str(checkpoint), "--name", name, *told)[0] == 0
    registry.write_text("# mine\n" + registry.read_text().replace('  - name: "third"', '  # last\n  - name: "third"'))
    before = registry.read_text()
    assert typed("models", "remove", "second") == (0, f"second is no more listed in {registry}\n")
    assert [one.entry.name for one in entries_of(registry.read_text(), "")] == ["first", "third"]
    assert '  # last\n  - name: "third"' in registry.read_text()
    assert typed("models", "add", str(checkpoint), "--name", "second", *told)[0] == 0
    assert sorted(registry.read_text()) == sorted(before)
    code, said = typed("models", "remove", "fourth")
    assert (code, "no entry fourth; expected one of first, third, second" in said) == (2, True)
    for name in ("first", "second", "third"):
        assert typed("models", "remove", name)[0] == 0
    assert registry.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("before", "words", "complaint"),
    [
        ("own", "noto", "`landslide-scale models remove noto` takes that entry out"),
        ("own", "new", "a list that is written otherwise"),
        ("checkpoints: []", "new", "a list that is written otherwise"),
        ("", "no.to", "key --name: no.to; expected 1 to 64 letters"),
        ("", "new --held-out Noto", "expected REGION=F1"),
        ("", "new --held-out Noto=41", "key --held-out: Noto=41; expected the name of a region and an F1 of 0 to 1"),
    ],
)
def test_what_cannot_be_added_leaves_the_registry_as_it_was(
    typed: Type, checkpoint: Path, before: str, words: str, complaint: str
):
    registry = Path(user_registry())
    before = text_of(entry(checkpoint, str(checkpoint))) if before == "own" else before
    registry.write_text(before)
    told = ("--data", "d", "--licence", "l", "--name", *words.split())
    code, said = typed("models", "add", str(checkpoint), *told)
    assert code == 2
    assert complaint in said
    assert len(said.splitlines()) == 1
    assert registry.read_text() == before


def test_what_is_no_checkpoint_and_what_has_keys_in_its_address_get_no_name(typed: Type, registry: Path):
    registry.with_name("x.bin").write_bytes(b"no checkpoint of this package")
    told = ("--name", "x", "--data", "d", "--licence", "l")
    code, said = typed("models", "add", str(registry.with_name("x.bin")), *told)
    assert (code, registry.exists()) == (2, False)
    assert "no safetensors header" in said


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "AB" * 32}, "key checkpoints.0.sha256: found"),
        ({"sha256": "ab"}, "key checkpoints.0.sha256: found"),
        ({"bytes": 0}, "key checkpoints.0.bytes: found 0"),
        ({"bytes": "3"}, "key checkpoints.0.bytes: found"),
        ({"name": "a/b"}, 'key checkpoints.0.name: found "a/b"; expected: 1 to 64 letters, digits, - and _'),
        ({"bands": []}, "key checkpoints.0.bands: found"),
        ({"radiometry": "bao"}, "key checkpoints.0.radiometry: found"),
        ({"license": "MIT"}, "did you mean licence?"),
        ({"trained_on": {"resolution": -1}}, "resolution -1.0; expected metres"),
        ({"trained_on": {"resolutoin": 10}}, "did you mean resolution?"),
    ],
)
def test_an_entry_that_is_wrong_is_one_line_by_its_key(
    typed: Type, registry: Path, checkpoint: Path, change: dict[str, Any], complaint: str
):
    registry.write_text(text_of(entry(checkpoint, str(checkpoint), **change)))
    code, said = typed("models", "list")
    assert (code, len(said.splitlines())) == (2, 1)
    assert complaint in said
    assert str(registry) in said


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"checkpoints:\n\t- name: x\n", "a tab is none"),
        (b"[1, 2]", "a list; expected a mapping"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"models: []", "key models: unknown"),
    ],
)
def test_a_file_that_is_no_registry_is_one_line(typed: Type, registry: Path, content: bytes, complaint: str):
    registry.write_bytes(content)
    code, said = typed("models", "list")
    assert (code, len(said.splitlines())) == (2, 1)
    assert complaint in said


def test_a_name_that_is_given_twice_is_refused(typed: Type, registry: Path, checkpoint: Path):
    one = entry(checkpoint, str(checkpoint))
    registry.write_text(text_of(one, one | {"licence": "other"}))
    code, said = typed("models", "show", "noto")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "the name noto twice" in said


def test_an_unknown_name_is_answered_with_the_nearest(typed: Type, registry: Path, checkpoint: Path):
    assert "expected a name that is listed" in typed("models", "show", "notto")[1]
    registry.write_text(text_of(entry(checkpoint, str(checkpoint)), entry(checkpoint, "x", name="wenchuan")))
    code, said = typed("models", "fetch", "notto")
    assert code == 2
    assert "checkpoint notto: no checkpoint of this name" in said
    assert "such as noto. " in said


def test_the_variable_names_a_registry_that_must_be_there(
    typed: Type, registry: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    registry.write_text("this: is not read")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("LANDSLIDE_SCALE_REGISTRY", "$FOLDER/team.yaml")
    code, said = typed("models", "list")
    assert code == 2
    assert "key LANDSLIDE_SCALE_REGISTRY" in said
    told = ("--name", "noto", "--data", "d", "--licence", "l")
    assert typed("models", "add", str(checkpoint), *told)[0] == 0
    assert f"{tmp_path}/team.yaml, 1 checkpoint\n" in typed("models", "list")[1]
    monkeypatch.setenv("LANDSLIDE_SCALE_REGISTRY", "$NOWHERE/team.yaml")
    assert typed("models", "list")[0] == 2


def test_a_relative_file_is_looked_for_beside_its_registry(typed: Type, registry: Path, checkpoint: Path):
    registry.with_name("noto.safetensors").write_bytes(checkpoint.read_bytes())
    registry.write_text(text_of(entry(checkpoint, "noto.safetensors")))
    assert typed("models", "fetch", "noto") == (0, f"{registry.with_name('noto.safetensors')}\n")


@given(data=TEXT, licence=TEXT, region=TEXT, f1=st.floats(0, 1), metres=st.floats(0.1, 1000) | st.none())
def test_an_entry_is_read_as_it_was_written(data: str, licence: str, region: str, f1: float, metres: float | None):
    content = {
        "name": "n",
        "url": "s3://bucket/x",
        "sha256": "0" * 64,
        "bytes": 1,
        "bands": ["red", "slope"],
        "radiometry": "boa",
        "trained_on": {"resolution": metres, "clear": [4, 5], "mask": []},
        "data": data,
        "licence": licence,
        "held_out": [{"region": region, "f1": f1}],
    }
    made = parse(Entry, json.loads(json.dumps(content)))
    (found,) = entries_of(f"checkpoints:\n{item(made)}", "r.yaml")
    assert found.entry == made
    assert made.trained_on == ImageFacts(resolution=metres, clear=(4, 5), mask=())
