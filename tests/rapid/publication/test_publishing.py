"""Versions of an event: killed at every step they end with the same bytes, and nothing is published twice."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import ANY

import pytest
from helpers.exporting import FORKS, scan_in
from helpers.publishing import (
    EVENT,
    FILES,
    NOW,
    UNSEEN,
    Made,
    in_a_process,
    made_of,
    of_scan,
    on_s3,
    published,
)
from helpers.s3 import Proxy, Request, contents, local

from landslide_scale.errors import RunConflictError
from landslide_scale.products.heritage import Verdict
from landslide_scale.products.manifest import Stored
from landslide_scale.rapid.publication.landslides import Landslide
from landslide_scale.rapid.publication.publishing import BEGUN, begin, restate, unfinished
from landslide_scale.rapid.publication.summing import difference
from landslide_scale.rapid.publication.version import (
    LATEST,
    PRELIMINARY,
    RESPONSE,
    VERSION,
    Difference,
    Standing,
    read_latest,
    read_version,
)
from landslide_scale.storage.rundir import RunDirectory

FIRST, SECOND = Made(of=made_of(0, cube_sha256=""), figures=UNSEEN), Made(of=made_of(1))


@pytest.fixture
def folder(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "event"))


def test_a_version_is_numbered_and_names_every_file_by_its_hash(folder: RunDirectory):
    version = published(folder, FIRST)
    assert version is not None
    assert (version.number, version.release, version.version, version.state) == (0, 1, 1, PRELIMINARY)
    there = local(Path(folder.at(version.folder)))
    hashes = {
        name.lstrip("/"): Stored(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in there.items()
    }
    assert version.files == {name: one for name, one in hashes.items() if name != VERSION}
    assert {*FILES, RESPONSE, "monty/event.json"} <= version.files.keys()
    latest = read_latest(folder)
    assert latest is not None
    assert (latest.number, latest.folder, latest.event.state) == (0, "versions/0000", "observing")
    assert latest.sha256 == hashes[VERSION].sha256
    assert read_version(folder, 0) == version


def test_the_same_makes_no_new_version_and_other_data_a_release_and_other_words_a_correction(folder: RunDirectory):
    numbers = []
    for of in (
        made_of(1),
        made_of(1, run="runs/0009"),  # the same cube elsewhere
        made_of(2),
        made_of(2, verdicts=1),
        made_of(2, verdicts=1),
        made_of(2, verdicts=1, confirmed_by="AB"),
        made_of(2, verdicts=1, confirmed_by="AB", area_sha256="b" * 64),
    ):
        version = published(folder, Made(of=of))
        numbers.append(version and (version.number, version.release, version.version, version.state))
    assert numbers == [
        (0, 1, 1, PRELIMINARY),
        None,
        (1, 2, 1, PRELIMINARY),
        (2, 2, 2, PRELIMINARY),
        None,
        (3, 2, 3, "confirmed by AB"),
        (4, 3, 1, "confirmed by AB"),
    ]
    assert sorted(path.name for path in Path(folder.at("versions")).iterdir()) == [f"{n:04d}" for n in range(5)]


def test_what_was_begun_is_finished_before_anything_else_and_says_the_instant_it_began(folder: RunDirectory):
    begun = begin(folder, EVENT, made_of(1), NOW)
    assert unfinished(folder) == begun
    assert begin(folder, EVENT, made_of(1), NOW + timedelta(hours=1)) == begun
    version = published(folder, SECOND, NOW + timedelta(hours=2))
    assert version is not None
    assert version.published == NOW
    assert unfinished(folder) is None


def test_what_was_begun_and_is_no_longer_what_is_known_is_begun_anew_with_nothing_of_it_left(folder: RunDirectory):
    begin(folder, EVENT, made_of(1), NOW)
    RunDirectory(folder.at("versions/0000")).write("half.txt", b"of the other")
    begun = begin(folder, EVENT, made_of(2), NOW + timedelta(hours=1))
    assert begun is not None
    assert (begun.number, begun.made_of) == (0, made_of(2))
    assert RunDirectory(folder.at("versions/0000")).sizes("") == {}


def test_a_version_is_never_changed_and_what_the_event_is_at_is_said_beside_it(folder: RunDirectory):
    published(folder, FIRST)
    before = local(Path(folder.url))
    restate(folder, Standing(state="observing"))
    assert local(Path(folder.url)) == before
    restate(folder, Standing(state="ended"))
    after = local(Path(folder.url))
    assert {name for name in after if after[name] != before[name]} == {f"/{LATEST}"}
    assert read_latest(folder).event.state == "ended"  # type: ignore[union-attr]


def test_products_of_another_cube_are_no_version(folder: RunDirectory, tmp_path: Path):
    run = scan_in(tmp_path / "run")
    with pytest.raises(RunConflictError, match="products of another cube"):
        published(folder, Made(of=made_of(1), run=run.url))
    assert read_latest(folder) is None


@pytest.mark.parametrize("name", [LATEST, BEGUN, f"versions/0000/{VERSION}"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 99}', b'{"format": 1, "number": 0}'])
def test_what_is_something_else_is_said_in_one_line(folder: RunDirectory, name: str, content: bytes):
    published(folder, FIRST)
    folder.write(name, content)
    with pytest.raises(RunConflictError, match=r"of something else") as caught:
        published(folder, SECOND)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """All files of an event of two versions, and how many steps the second took."""
    folder = tmp_path_factory.mktemp("whole") / "event"
    published(RunDirectory(str(folder)), FIRST)
    taken = in_a_process(folder, folder.parent / "log", None, SECOND)
    return local(folder), len(taken)


@pytest.mark.slow  # a process each
def test_killed_before_each_step_it_is_finished_to_the_same_bytes(whole: tuple[dict[str, bytes], int], tmp_path: Path):
    expected, count = whole
    assert count >= 30
    first = tmp_path / "first"
    published(RunDirectory(str(first)), FIRST)
    for number in range(count):
        folder = tmp_path / f"killed{number}"
        shutil.copytree(first, folder)
        taken = in_a_process(folder, tmp_path / f"log{number}", number, SECOND)
        assert len(taken) == number
        latest = read_latest(RunDirectory(str(folder)))
        assert latest is not None
        assert (folder / latest.folder / VERSION).exists()  # what is named is there whole
        seen = json.loads((folder / latest.folder / VERSION).read_bytes())
        assert all(
            (folder / latest.folder / name).stat().st_size == one["bytes"] for name, one in seen["files"].items()
        )
        published(RunDirectory(str(folder)), SECOND)
        assert local(folder) == expected, number


@pytest.mark.slow
def test_killed_before_each_step_of_real_products_too(tmp_path: Path):
    made = of_scan(scan_in(tmp_path / "run"))
    taken = in_a_process(tmp_path / "whole", tmp_path / "log", None, made)
    expected = local(tmp_path / "whole")
    assert not [name for name in expected if "lease" in name or ".making" in name]
    for number in range(0, len(taken), 3):
        folder = tmp_path / f"killed{number}"
        in_a_process(folder, tmp_path / f"log{number}", number, made)
        published(RunDirectory(str(folder)), made)
        assert local(folder) == expected, number


@pytest.mark.slow
def test_killed_at_each_request_to_an_object_store_it_is_finished_to_the_same_bytes(
    store: Proxy, whole: tuple[dict[str, bytes], int]
):
    expected, _ = whole
    environment = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "NO_PROXY"))}
    kills = 0
    for number in itertools.count(1):
        folder = RunDirectory(f"s3://bucket/event{number}")
        published(folder, FIRST)
        process = FORKS.Process(target=on_s3, args=(environment, folder.url, SECOND))
        count = itertools.count(1)

        def kill(_: Request, process: object = process, count: Iterator[int] = count, number: int = number) -> None:
            if next(count) == number:
                os.kill(process.pid, signal.SIGKILL)  # type: ignore[attr-defined]

        store.after = kill
        process.start()
        process.join(120)
        store.after = lambda _: None
        kills += process.exitcode == -signal.SIGKILL
        published(folder, SECOND)
        assert contents(folder.url) == expected, number
        if process.exitcode == 0:
            break
    assert kills >= 30


def mapped(area_m2: float, merged: tuple[str, ...] = ()) -> Landslide:
    return Landslide(said=Verdict(), area_m2=area_m2, merged=merged)


def test_landslides_of_two_versions_are_told_apart_by_id_and_area():
    before = {"a": mapped(area_m2=100), "b": mapped(area_m2=100), "c": mapped(area_m2=100)}
    before |= {"d": mapped(area_m2=100), "e": mapped(area_m2=100)}
    now = {
        "a": mapped(area_m2=120),
        "b": mapped(area_m2=121, merged=("d", "z")),
        "c": mapped(area_m2=79),
        "f": mapped(area_m2=1),
    }
    assert difference(before, now, newly_observed_km2=2.5, share=0.2) == Difference(
        newly_observed_km2=2.5, new=("f",), grown=("b",), shrunk=("c",), same=("a",), merged=("d",), gone=("e",)
    )
    assert difference({}, {}, newly_observed_km2=0, share=0.2) == Difference(newly_observed_km2=ANY)
