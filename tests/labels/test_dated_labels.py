"""When the landslides were there: a window from before shows none, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.borderland import served
from helpers.chipping import asked, plain

from landslide_scale.datasets.chips import read_index
from landslide_scale.datasets.files import LocalFiles
from landslide_scale.errors import InvalidConfigError
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.foreseen import foresee, plan_lines

WINDOWS = [{"start": "2023-08-01", "end": "2023-08-15"}, {"start": "2023-08-15", "end": "2023-09-01"}]
AFTER = {"start": "2023-08-15", "end": "2024-01-01"}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


def labels(folder: Path, **said: object) -> dict[str, object]:
    return {"file": str(folder / "labels.geojson"), **said}


def landslides(directory: str, window: int) -> int:
    found = 0
    for path in Path(directory).glob(f"*-t{window}-*.npz"):
        with np.load(path) as chip:
            found += int((chip["label"] == 1).sum())
    return found


def test_chips_of_a_window_from_before_show_no_landslide(catalogue: tuple[str, Path], tmp_path: Path):
    both = {"start": "2023-08-01", "end": "2023-09-01"}
    late = {"start": "2023-09-01", "end": "2024-01-01"}
    said = labels(tmp_path, window=late, before="background")
    chosen = asked(*catalogue, tmp_path, windows=[both, late], labels=said)
    make_chips(chosen, plain, resume=False)
    assert list(Path(chosen.directory).glob("*-t0-*.npz"))
    assert landslides(chosen.directory, 0) == 0
    assert read_index(LocalFiles(root=chosen.directory)).facts.fair_share is False
    usual = asked(*catalogue, tmp_path / "usual")
    make_chips(usual, plain, resume=False)
    assert landslides(usual.directory, 0) > 0
    assert read_index(LocalFiles(root=usual.directory)).facts.fair_share is True


def test_a_window_from_before_is_refused_unless_it_is_to_be_background(catalogue: tuple[str, Path], tmp_path: Path):
    with pytest.raises(
        InvalidConfigError, match=r"windows: 2023-08-01 to 2023-08-15, which ends before labels\.window"
    ):
        asked(*catalogue, tmp_path, windows=WINDOWS, labels=labels(tmp_path, window=AFTER))
    asked(*catalogue, tmp_path, windows=WINDOWS, labels=labels(tmp_path, window=AFTER, before="background"))
    for odd in ({"start": "2023-08-10", "end": "2023-08-20"}, {"start": "2024-01-01", "end": "2024-02-01"}):
        with pytest.raises(InvalidConfigError, match="expected windows in it, or before it"):
            asked(*catalogue, tmp_path, windows=[odd], labels=labels(tmp_path, window=AFTER, before="background"))
    with pytest.raises(InvalidConfigError, match=r"labels\.before: before without window"):
        asked(*catalogue, tmp_path, windows=WINDOWS, labels=labels(tmp_path, before="background"))


def test_several_windows_without_a_word_are_said(catalogue: tuple[str, Path], tmp_path: Path):
    lines = plan_lines(foresee(asked(*catalogue, tmp_path, windows=WINDOWS)))
    assert "the landslides are taken to be there in all 2 windows: labels.window says when they were" in lines
    before = labels(tmp_path, window=AFTER, before="background")
    dated = plan_lines(foresee(asked(*catalogue, tmp_path, windows=WINDOWS, labels=before)))
    assert "2023-08-01 to 2023-08-15: before the landslides, all background" in dated
    assert not any("are taken to be there" in line for line in dated)
    assert [line.endswith(" 0 of them with landslides") for line in dated[-2:]] == [True, False]
    single = plan_lines(foresee(asked(*catalogue, tmp_path, windows=WINDOWS[:1])))
    assert not any("labels.window" in line for line in single)
