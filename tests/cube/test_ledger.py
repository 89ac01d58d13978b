from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_scale.bands import Reason
from landslide_scale.cube import ledger as ledger_module
from landslide_scale.cube.arrays import VARIABLES, Layer
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import HISTOGRAM_BINS, Record, content_hash, describe
from landslide_scale.errors import RunConflictError
from landslide_scale.storage.rundir import RunDirectory, Stamp


@pytest.fixture(params=["path", "memory"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "run") if request.param == "path" else f"memory://{uuid.uuid4()}/run")


def record(unit: str, state: str = "written", *, attempts: int = 1, error: str = "") -> Record:
    return Record(
        unit=unit,
        state=state,  # type: ignore[arg-type]
        attempts=attempts,
        error=error,
        scenes=({"id": "S2A", "offset": -1000, "rule": "made", "resampled": True},),
        km2=1.25,
        clear_fraction=1 / 3,
        landslide_km2=0.1,
        histogram=tuple(range(HISTOGRAM_BINS)),
        sha256="ab",
        seconds={"read": 0.1},
    )


RECORDS = st.builds(
    Record,
    unit=st.text(),
    state=st.sampled_from(["written", "empty", "failed"]),
    attempts=st.integers(1, 9),
    error=st.text(),
    retry=st.booleans(),
    scenes=st.lists(st.fixed_dictionaries({"id": st.text(), "offset": st.integers(-1000, 0)}), max_size=3).map(tuple),
    km2=st.floats(0, 1e6),
    clear_fraction=st.floats(0, 1),
    landslide_km2=st.floats(0, 1e6),
    histogram=st.lists(st.integers(0, 10**9), max_size=20).map(tuple),
    sha256=st.text(),
    seconds=st.dictionaries(st.text(), st.floats(0, 1e6)),
)


@given(RECORDS)
def test_a_record_round_trips_as_text(one: Record):
    assert Record.from_json(one.to_json()) == one
    assert Record.from_json(one.to_json().encode()) == one


def test_records_of_units_made_of_the_same_share_what_says_so():
    made = tuple({"id": f"S2A_{number}", "offset": -1000, "rule": "made", "resampled": False} for number in range(20))
    first, second = (Record.from_json(replace(record(name), scenes=made).to_json()) for name in ("u1", "u2"))
    assert first.scenes == made
    assert first.scenes is second.scenes


def test_lists_that_differ_share_what_is_said_of_the_same_scenes_and_files():
    """As along the rims of tiles, where lists are many and scenes are not."""
    made = tuple({"id": f"S2A_{number}", "offset": -1000, "rule": "made", "resampled": False} for number in range(20))
    marks = {str(scene["id"]): {"red": "12", "nir": "34"} for scene in made}
    whole = replace(record("u1"), scenes=made, files=marks)
    rim = replace(record("u2"), scenes=made[3:], files={name: marks[name] for name in list(marks)[3:]})
    first, second = (Record.from_json(one.to_json()) for one in (whole, rim))
    assert (first, second) == (whole, rim)
    assert all(one is other for one, other in zip(first.scenes[3:], second.scenes, strict=True))
    assert all(first.files[name] is second.files[name] for name in second.files)


def test_records_are_found_before_and_after_they_are_gathered(run: RunDirectory):
    ledger = Ledger(run)
    assert ledger.records() == {}
    ledger.compact()
    made = {f"u{n}": record(f"u{n}", "failed" if n == 2 else "written") for n in range(5)}
    for one in made.values():
        ledger.add(one)
    assert ledger.records() == made
    ledger.compact()
    assert run.names("ledger/units", ".json") == []
    assert ledger.records() == made
    ledger.add(record("u9"))
    ledger.compact()
    assert ledger.records() == made | {"u9": record("u9")}
    assert Ledger(RunDirectory(run.url)).records() == ledger.records()


def test_parts_are_plain_tables_for_anyone_to_read(tmp_path: Path):
    ledger = Ledger(RunDirectory(str(tmp_path)))
    ledger.add(record("u1"))
    ledger.add(record("u2", "failed", error="TryAgainError: away"))
    ledger.compact()
    (part,) = (tmp_path / "ledger").glob("part-00000-*.parquet")
    table = pq.read_table(part)
    assert table.column("unit").to_pylist() == ["u1", "u2"]
    assert table.column("error").to_pylist() == ["", "TryAgainError: away"]
    assert json.loads(table.column("record")[0].as_py())["histogram"] == list(range(HISTOGRAM_BINS))


@pytest.mark.parametrize("gathered", [True, False])
def test_what_was_done_later_stands_over_what_failed_earlier(run: RunDirectory, *, gathered: bool):
    ledger = Ledger(run)
    ledger.add(record("u1", "failed", attempts=1))
    ledger.add(record("u1", "failed", attempts=2, error="latest"))
    if gathered:
        ledger.compact()
    assert ledger.records()["u1"].error == "latest"
    ledger.add(record("u1", "written", attempts=1))  # of a resumed run, which counts anew
    assert ledger.records()["u1"].state == "written"
    ledger.compact()
    assert ledger.records()["u1"].state == "written"


def test_a_broken_record_takes_away_what_was_said_before_it_and_a_later_attempt_stands(run: RunDirectory):
    ledger = Ledger(run)
    ledger.add(record("u1", "written", attempts=2))
    ledger.add(record("u1", "broken", attempts=2))
    assert ledger.records()["u1"].state == "broken"
    assert not ledger.records()["u1"].done
    ledger.compact()
    ledger.add(record("u1", "failed", attempts=3))
    assert ledger.records()["u1"].state == "failed"
    ledger.add(record("u1", "empty", attempts=4))
    assert ledger.records()["u1"].state == "empty"
    ledger.compact()
    assert ledger.records()["u1"].state == "empty"


def test_what_was_done_is_found_by_its_attempt_until_it_is_gathered(run: RunDirectory):
    ledger = Ledger(run)
    ledger.add(record("u1", "failed", attempts=1))
    assert ledger.find("u1", 1) is None
    ledger.add(record("u1", "empty", attempts=1))
    assert ledger.find("u1", 1) == record("u1", "empty", attempts=1)
    assert ledger.find("u1", 2) is None
    ledger.compact()
    assert ledger.find("u1", 1) is None


def test_gathering_some_leaves_the_others_where_a_worker_may_look_for_them(run: RunDirectory):
    ledger = Ledger(run)
    made = {f"u{n}": record(f"u{n}") for n in range(4)}
    for one in made.values():
        ledger.add(one)
    ledger.gather([made["u0"], made["u2"]])
    assert run.names("ledger/units", ".json") == ["u1-a1.json", "u3-a1.json"]
    assert ledger.records() == made


def test_a_lost_part_costs_its_own_records_and_no_others(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    """Whatever the next part is called: what is there by that name is not replaced."""
    for number in range(3):
        Ledger(run).add(record(f"u{number}"))
        Ledger(run).compact()
    first, *others = run.names("ledger", ".parquet")
    run.delete(f"ledger/{first}")
    _, _, token, beginning = others[1].removesuffix(".parquet").split("-")
    Ledger(run).add(record("u3"))
    with monkeypatch.context() as patched:
        patched.setattr(ledger_module.secrets, "token_hex", lambda _: token)
        patched.setattr(ledger_module, "_beginning", lambda _: beginning)
        with pytest.raises(RunConflictError, match="is there already"):
            Ledger(run).compact()
    assert Ledger(run).records().keys() == {"u1", "u2", "u3"}
    Ledger(run).compact()
    assert run.names("ledger/units", "") == []
    assert Ledger(run).records().keys() == {"u1", "u2", "u3"}


def test_records_of_another_run_are_none_of_this_one(run: RunDirectory):
    """As a writer leaves them whose folder was deleted under it, and taken by another run."""
    before = Ledger(run, Stamp(run="before", session="a"))
    before.add(record("u1"))
    run.write_json("run.json", {"id": "now"})
    now = Ledger(run, Stamp(run="now", session="b"))
    assert now.records() == Ledger(run).records() == {}
    assert now.find("u1", 1) is None
    now.add(record("u2"))
    now.compact()
    before.add(record("u3"))
    assert {name: one.session for name, one in Ledger(run).records().items()} == {"u2": "b"}
    assert run.names("ledger/units", "") == ["u1-a1.json", "u3-a1.json"]
    assert before.records().keys() == {"u1", "u3"}


class Gathered(RunDirectory):
    """In which everything is gathered between any two looks of who reads."""

    def names(self, folder: str, ending: str) -> list[str]:
        found = super().names(folder, ending)
        Ledger(RunDirectory(self.url)).compact()
        return found

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        Ledger(RunDirectory(self.url)).compact()
        return super().read_all(names)


def test_who_reads_while_records_are_gathered_sees_all_of_them(tmp_path: Path):
    ledger = Ledger(RunDirectory(str(tmp_path)))
    ledger.add(record("u0"))
    ledger.compact()
    for number in range(1, 5):
        ledger.add(record(f"u{number}"))
    assert Ledger(Gathered(str(tmp_path))).records().keys() == {f"u{number}" for number in range(5)}


@pytest.mark.parametrize("content", [b"", b'{"unit": "u0", "sta', b"[]", b"\xff\x00"])
def test_a_damaged_record_has_its_unit_done_again_and_is_named(
    run: RunDirectory, content: bytes, caplog: pytest.LogCaptureFixture
):
    ledger = Ledger(run)
    for name in ("u0", "u1", "u-a7"):
        ledger.add(record(name, attempts=2))
    run.write("ledger/units/u0-a2.json", content)
    assert Ledger(run).find("u0", 2) is None
    before = Ledger(run).records()
    assert {name: one.done for name, one in before.items()} == {"u0": False, "u1": True, "u-a7": True}
    assert before["u0"].error.startswith("DamagedRecord: ")
    ledger.compact()
    ledger.mend()
    assert "ledger/units/u0-a2.json: damaged" in caplog.messages[0]
    assert run.names("ledger/units", "") == []
    assert {name: one.done for name, one in Ledger(run).records().items()} == {"u0": False, "u1": True, "u-a7": True}
    ledger.add(record("u0", attempts=3))
    assert Ledger(run).records()["u0"].done


def test_a_damaged_part_costs_its_own_units_and_is_named(run: RunDirectory, caplog: pytest.LogCaptureFixture):
    for number in range(2):
        Ledger(run).add(record(f"u{number}"))
        Ledger(run).compact()
    part = f"ledger/{run.names('ledger', '.parquet')[0]}"
    for damaged in (run.read(part)[:-9], b"", b"PAR1" * 9):
        run.write(part, damaged)
        ledger = Ledger(run)
        assert ledger.records().keys() == {"u1"}
        assert ledger.damaged.keys() == {part}
    ledger.mend()
    assert f"{part}: damaged" in caplog.messages[0]
    assert Ledger(run).records().keys() == {"u1"}
    assert not run.exists(part)


@pytest.mark.parametrize("known", [True, False])
def test_any_flipped_bit_of_a_part_is_a_damage_that_is_named(run: RunDirectory, known: bool):  # noqa: FBT001
    """By its name; one of before its name told is at least never a trace."""
    for number in range(3):
        Ledger(run).add(record(f"u{number}"))
    Ledger(run).compact()
    (name,) = run.names("ledger", ".parquet")
    whole, part = run.read(f"ledger/{name}"), f"ledger/{name}"
    if not known:
        run.delete(part)
        part = f"{part.rpartition('-')[0]}.parquet"
        run.write(part, whole)
    said, random = Ledger(run).records(), np.random.default_rng(0)
    places = {*map(int, random.choice(len(whole), 300, replace=False)), *range(len(whole) - 200, len(whole))}
    damaged = 0
    for place in sorted(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(random.integers(8))
        run.write(part, bytes(flipped))
        ledger = Ledger(run)
        found = ledger.records()
        damaged += bool(ledger.damaged)
        assert not ledger.damaged or not found, place
    assert len(said) == 3
    assert damaged == len(places) if known else damaged > len(places) / 4


def test_a_part_for_which_there_is_no_memory_now_is_not_damaged(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    def short(*_: object, **__: object) -> NoReturn:
        raise pa.ArrowMemoryError("malloc of size 67108864 failed")

    Ledger(run).add(record("u0"))
    Ledger(run).compact()
    ledger = Ledger(run)
    with monkeypatch.context() as patched:
        patched.setattr(pq, "read_table", short)
        with pytest.raises(MemoryError):
            ledger.records()
    assert not ledger.damaged
    assert Ledger(run).records().keys() == {"u0"}


def test_a_record_of_a_later_version_is_read_for_what_is_known_of_it():
    text = json.dumps(json.loads(record("u0").to_json()) | {"mood": "fine"})
    assert Record.from_json(text) == record("u0")


class Interrupted(RunDirectory):
    """Ends like a killed process at the n-th change of a file, or lets another process write in between."""

    left = 10**9

    def write(self, name: str, content: bytes) -> None:
        self._count()
        super().write(name, content)

    def create(self, name: str, content: bytes) -> None:
        self._count()
        super().create(name, content)

    def delete(self, name: str) -> None:
        self._count()
        super().delete(name)

    def _count(self) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1


@pytest.mark.parametrize("changes", range(6))
def test_gathering_loses_nothing_wherever_it_is_interrupted(tmp_path: Path, changes: int):
    made = {f"u{n}": record(f"u{n}") for n in range(4)}
    run = Interrupted(str(tmp_path))
    for one in made.values():
        Ledger(run).add(one)
    run.left = changes
    if changes < 5:
        with pytest.raises(KeyboardInterrupt):
            Ledger(run).compact()
    else:
        Ledger(run).compact()
    assert Ledger(RunDirectory(str(tmp_path))).records() == made
    Ledger(RunDirectory(str(tmp_path))).compact()
    assert Ledger(RunDirectory(str(tmp_path))).records() == made


def test_a_record_that_another_process_adds_while_they_are_gathered_is_kept(tmp_path: Path):
    run = RunDirectory(str(tmp_path))

    class Overtaken(RunDirectory):
        def create(self, name: str, content: bytes) -> None:
            super().create(name, content)
            if name.endswith(".parquet"):
                Ledger(run).add(record("u1", "written", attempts=2))

    Ledger(run).add(record("u1", "failed", attempts=1))
    Ledger(Overtaken(str(tmp_path))).compact()
    assert Ledger(run).records()["u1"] == record("u1", "written", attempts=2)


STEPS = st.lists(st.sampled_from(["add", "fail", "compact", "crash", "resume"]), max_size=25)


@settings(max_examples=40)
@given(steps=STEPS, data=st.data())
def test_whatever_happens_a_unit_that_was_done_stays_done(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], data: st.DataObject
):
    folder = str(tmp_path_factory.mktemp("run"))
    done: set[str] = set()
    known: set[str] = set()
    attempt = 1
    for step in steps:
        run = Interrupted(folder)
        left = [f"u{n}" for n in range(4) if f"u{n}" not in done]
        if step in {"add", "fail"} and left:
            unit = data.draw(st.sampled_from(left))
            Ledger(run).add(record(unit, "written" if step == "add" else "failed", attempts=attempt))
            known.add(unit)
            done |= {unit} if step == "add" else set()
        elif step == "resume":
            attempt = attempt % 3 + 1
        elif step in {"compact", "crash"}:
            run.left = data.draw(st.integers(0, 4)) if step == "crash" else 10**9
            try:
                Ledger(run).compact()
            except KeyboardInterrupt:
                run.left = 10**9
        found = Ledger(run).records()
        assert set(found) == known
        assert {unit for unit, one in found.items() if one.done} == done


def a_layer(reason: Reason, probability: int = 100) -> Layer:
    shape = 8, 8
    return Layer(
        probability=np.full(shape, probability, np.uint8),
        clear_count=np.ones(shape, np.uint8),
        observed_on=np.full(shape, 19_571, np.uint16),
        reason=np.full(shape, reason, np.uint8),
    )


def test_the_figures_are_of_the_probabilities_before_their_8_bits():
    layer = a_layer(Reason.OBSERVED)
    layer.reason[0], layer.reason[1:3] = Reason.NOT_SCANNED, Reason.CLOUD
    probability = np.full((8, 8), 0.12345, np.float32)
    probability[:3] = np.nan
    figures = describe(layer, probability, 1e-4)
    assert figures["km2"] == pytest.approx(56e-4)
    assert figures["clear_fraction"] == pytest.approx(40 / 56)
    assert figures["landslide_km2"] == pytest.approx(40 * 0.12345e-4)
    assert figures["histogram"] == (0, 0, 40, *(0,) * (HISTOGRAM_BINS - 3))


def test_a_unit_outside_the_region_or_all_cloud_has_figures_too():
    nothing = np.full((8, 8), np.nan, np.float32)
    outside = describe(a_layer(Reason.NOT_SCANNED), nothing, 1e-4)
    assert (outside["km2"], outside["clear_fraction"], outside["landslide_km2"]) == (0, 0, 0)
    cloudy = describe(a_layer(Reason.CLOUD), nothing, 1e-4)
    assert (cloudy["km2"], cloudy["clear_fraction"]) == (pytest.approx(64e-4), 0)
    assert sum(cloudy["histogram"]) == 0


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_histogram_holds_both_ends(probability: float):
    figures = describe(a_layer(Reason.OBSERVED), np.full((8, 8), probability, np.float32), 1e-4)
    assert sum(figures["histogram"]) == 64


def test_a_hash_tells_any_changed_pixel_of_any_variable():
    known = content_hash(a_layer(Reason.OBSERVED))
    assert content_hash(a_layer(Reason.OBSERVED)) == known
    for variable in VARIABLES:
        changed = a_layer(Reason.OBSERVED)
        getattr(changed, variable.name)[3, 4] += 1
        assert content_hash(changed) != known


def test_files_of_somebody_else_beside_parts_and_records_are_neither_read_nor_removed(run: RunDirectory):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"unit": ["u"], "km2": [1.0]}), sink)
    theirs = {
        "ledger/my_table.parquet": bytes(sink.getvalue()),
        "ledger/part-00000-of-mine.parquet": b"1",
        "ledger/units/notes.json": b"[1]",
        "ledger/units/u-a1.json.bak": b"{",
    }
    for name, content in theirs.items():
        run.write(name, content)
    ledger = Ledger(run)
    ledger.gather([record("u")])
    ledger.add(record("v"))
    ledger.compact()
    assert ledger.records().keys() == {"u", "v"}
    assert ledger.damaged == {}
    ledger.mend()
    assert {name: run.read(name) for name in theirs} == theirs
    assert [name[:11] for name in run.names("ledger", ".parquet") if f"ledger/{name}" not in theirs] == [
        "part-00000-",
        "part-00001-",
    ]
