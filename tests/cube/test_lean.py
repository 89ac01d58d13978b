from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.cube.lean import LeanRecords
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.storage.rundir import RunDirectory

UNITS = st.sampled_from([f"utm33n-t{layer}-r-1{row}-c2" for layer in range(2) for row in range(4)])
SCENES = [
    (),
    ({"id": "S2A", "offset": -1000, "rule": "made", "resampled": True},),
    ({"id": "S2A", "offset": -1000, "rule": "made", "resampled": True}, {"id": "S2B", "quarantined": "no offset"}),
]
FILES: list[dict[str, dict[str, str]]] = [{}, {"S2A": {"red": "12", "nir": "34"}}]
COMPUTED = [{}, {"precision": "float32", "threads": 2}]
SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
AREAS = st.floats(0, 1e6)


def records(*, alike: bool = True) -> st.SearchStrategy[Record]:
    """Of units that share scenes, files and the like, each the same object as if it was read; or whatever there is."""
    rare: dict[str, Any] = {
        "error": st.text(max_size=5),
        "retry": st.booleans(),
        "unreadable": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=1),
        "sha256": SHA256 | SHA256.map(str.upper) | st.text(max_size=70),
        "km2": AREAS | st.integers(0, 2**70) | st.just(float("inf")),
        "files": st.dictionaries(st.text(max_size=3), st.just({"red": "1"}), max_size=2),
    }
    return st.builds(
        Record,
        unit=UNITS,
        state=st.sampled_from(["written", "empty", "failed", "broken"]),
        attempts=st.integers(1, 3),
        scenes=st.sampled_from(SCENES),
        dem=st.sampled_from([(), ("N46E010",)]),
        clear_fraction=st.floats(0, 1),
        persistent_km2=AREAS,
        landslide_km2=st.none() | AREAS,
        histogram=st.sampled_from([(), tuple(range(20))]),
        stored=st.sampled_from([{}, {"reason": {"bytes": 12, "sha256": "ab"}}]),
        seconds=st.sampled_from([{}, {"read": 0.5}]),
        computed=st.sampled_from(COMPUTED),
        taken_from=st.sampled_from(["", "another run", "s3://a/run#utm33n-t0-r1-c2", "s3://b#c/run#", "#\ud800"]),
        run=st.sampled_from(["", "a"]),
        session=st.sampled_from(["", "b"]),
        **({"km2": AREAS, "sha256": SHA256, "files": st.sampled_from(FILES)} if alike else rare),
    )


STEPS = st.lists(st.tuples(st.sampled_from(["put", "put", "put", "delete"]), records() | records(alike=False)))


@given(STEPS)
def test_they_are_a_dictionary_of_lean_records(steps: list[tuple[str, Record]]):
    held, plain = LeanRecords(), dict[str, Record]()
    for step, record in steps:
        if step == "put":
            held[record.unit], plain[record.unit] = record, record.lean
        else:
            assert held.pop(record.unit, None) == plain.pop(record.unit, None)
        assert (record.unit in held) == (record.unit in plain)
        assert held.get(record.unit) == plain.get(record.unit)
        assert len(held) == len(plain)
    assert list(held.items()) == list(plain.items())
    assert LeanRecords(plain.values()) == held == plain


@given(records())
def test_what_is_read_says_the_same_as_text_too(record: Record):
    """Equal numbers of another kind, as 1 and 1.0, would be written otherwise."""
    assert LeanRecords([record])[record.unit].to_json() == record.lean.to_json()


def test_no_part_of_a_lean_record_is_forgotten():
    """Whichever is added to records comes back from here as well, or is not lean."""
    plain = Record(unit="u", state="written", sha256="ab" * 32)
    others = {str: "c" * 64, bool: True, int: 7, float: 0.5, tuple: ("x",), dict: {"x": "y"}}
    for one in fields(Record):
        changed = replace(plain, **{one.name: others[type(getattr(plain, one.name))]})
        assert LeanRecords([changed])[changed.unit] == changed.lean, one.name


def test_a_unit_that_is_not_there_is_an_error_as_of_a_dictionary():
    held = LeanRecords([Record(unit="u", state="written")])
    with pytest.raises(KeyError, match="v"):
        held["v"]
    with pytest.raises(KeyError, match="v"):
        del held["v"]


def test_a_record_under_another_name_keeps_its_own():
    held = LeanRecords()
    held["v"] = Record(unit="u", state="written", sha256="ab" * 32)
    assert held["v"].unit == "u"


def test_what_units_share_is_the_same_object_however_often_it_is_asked_for():
    """Who has looked at one list of scenes or files knows it again by its identity."""
    held = LeanRecords(as_read(20))
    first, second = (held[f"utm33n-t0-r-1{row}-c2345"] for row in (0, 1))
    assert first.scenes is second.scenes is held[first.unit].scenes
    assert first.files is second.files


def as_read(count: int) -> Iterator[Record]:
    """Records as long as real ones, of tiles of a hundred units each, and of rims where one scene is lacking."""
    for number in range(count):
        tile, digest = number // 100, hashlib.sha256(str(number).encode()).hexdigest()
        scenes = [
            {"id": f"S2A_{tile}_202101{day:02d}_0_L2A", "offset": -1000, "rule": "made", "resampled": False}
            for day in range(12)
        ]
        record = Record(
            unit=f"utm33n-t0-r-1{number}-c2345",
            state="written",
            scenes=tuple(scenes[number % 100 // 90 :]),
            files={f"S2A_{tile}": {"red": "0123456789abcdef", "nir": "fedcba9876543210"}},
            km2=26.2144,
            clear_fraction=number / count,
            persistent_km2=number / 7,
            landslide_km2=number / 3,
            histogram=tuple(range(20)),
            sha256=digest,
            stored={name: {"bytes": number, "sha256": digest} for name in ("probability", "reason", "clear_count")},
            seconds={"read": number / 11, "wait": 0.0, "predict": 0.1, "write": 0.2},
            computed={"precision": "float32", "device": "x86_64 AVX2", "threads": 2},
            run="0123456789abcdef",
            session="fedcba9876543210",
        )
        yield Record.from_json(record.to_json())


MOST = 250
"""Bytes a unit: its id is a string of 80, its own figures are one of 112, and a dictionary holds both in 22 to 44, by
when it last grew. What units share is numbers of some 600 for each list of scenes, of which two are in a hundred here.
"""


def test_a_unit_takes_a_quarter_of_a_kilobyte():
    texts = [record.to_json() for record in as_read(2000)]  # what units share is known by then
    tracemalloc.start()
    try:
        held = LeanRecords(map(Record.from_json, texts))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / len(held) < MOST


def test_a_ledger_gives_them(tmp_path: Path):
    ledger = Ledger(RunDirectory(str(tmp_path)))
    for record in (*as_read(3), Record(unit="u", state="failed", error="TryAgainError: away", retry=True)):
        ledger.add(replace(record, run="", session=""))
    ledger.compact()
    assert ledger.lean_records() == {unit: record.lean for unit, record in ledger.records().items()}
