"""What lies in one part: windows of a place, neighbours with one landslide, shared pixels, named groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landslide_scale.datasets import Dataset, open_dataset
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.parting import divided_landslides, grouped, look, partition
from landslide_scale.parting.looking import Looked, content_of
from landslide_scale.spec import InputSpec, LandslideNetSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)
SIZE = 16


def chips(folder: Path, labels: dict[str, np.ndarray]) -> DataSpec:
    folder.mkdir(exist_ok=True)
    index = {"version": 1, "bands": ["red", "green", "blue"], "radiometry": "boa", "resolution": 10.0, "size": SIZE}
    (folder / "chips.json").write_text(json.dumps(index))
    for number, (name, label) in enumerate(labels.items()):
        image = np.random.default_rng(number).random((3, SIZE, SIZE)).astype(np.float32)
        np.savez_compressed(folder / f"{name}.npz", image=image, label=label.astype(np.uint8))
    return DataSpec(kind="chips", path=str(folder))


def seen(data: DataSpec) -> tuple[Dataset, Looked]:
    inputs = InputSpec.for_bands("boa" if data.kind == "chips" else "rgb8", MODEL.bands)
    dataset = open_dataset(data, MODEL, inputs)
    return dataset, look(dataset)


def groups(data: DataSpec) -> dict[str, str]:
    dataset, looked = seen(data)
    return grouped(dataset, looked, data)


def at(row: int, col: int, window: int = 0, zone: str = "EPSG_32645") -> str:
    return f"{zone}-t{window}-r{row}-c{col}"


def label(*marks: tuple[slice | int, slice | int], value: int = 1) -> np.ndarray:
    found = np.zeros((SIZE, SIZE))
    for rows, cols in marks:
        found[rows, cols] = value
    return found


MIDDLE = (slice(5, 9), slice(5, 9))


def test_all_windows_of_a_place_lie_together(tmp_path: Path):
    labels = {at(row, 0, window): label(MIDDLE) for row in (0, 5, 9) for window in range(3)}
    found = groups(chips(tmp_path, labels))
    assert found == {at(row, 0, window): at(row, 0) for row in (0, 5, 9) for window in range(3)}


@pytest.mark.parametrize(
    ("there", "here", "other", "together"),
    [
        ((0, 1), (3, -1), (3, 0), True),
        ((0, 1), (3, -1), (4, 0), True),  # by a corner
        ((0, 1), (3, -1), (5, 0), False),
        ((0, 1), (3, -2), (3, 0), False),
        ((1, 0), (-1, 3), (0, 3), True),
        ((1, 0), (-1, 3), (0, 5), False),
        ((-1, 0), (0, 3), (-1, 3), True),
        ((0, -1), (3, 0), (3, -1), True),
        ((1, 1), (-1, -1), (0, 0), True),
        ((1, -1), (-1, 0), (0, -1), True),
        ((1, 1), (-1, -1), (0, 1), False),
        ((0, 2), (3, -1), (3, 0), False),  # no neighbour
    ],
)
def test_neighbours_lie_together_where_a_landslide_lies_in_both(
    tmp_path: Path, there: tuple[int, int], here: tuple[int, int], other: tuple[int, int], *, together: bool
):
    """Rows go south: the block to the south of row 4 is in row 5."""
    names = at(4, -1), at(4 + there[0], -1 + there[1])
    found = groups(chips(tmp_path, {names[0]: label(here), names[1]: label(other)}))
    assert (found[names[0]] == found[names[1]]) is together


def test_neighbours_of_other_zones_and_neighbours_without_landslides_lie_apart(tmp_path: Path):
    edge = (slice(None), slice(None))
    labels = {at(0, 0): label(edge), at(0, 1, zone="EPSG_32646"): label(edge), at(9, 0): label(), at(9, 1): label()}
    assert len(set(groups(chips(tmp_path, labels)).values())) == 4


def test_a_landslide_goes_on_where_the_neighbour_was_not_observed_but_shows_one(tmp_path: Path):
    hidden = label((slice(None), 0), value=255)
    labels = {at(0, 0): label((3, -1)), at(0, 1): hidden + label(MIDDLE)}
    assert len(set(groups(chips(tmp_path / "a", labels)).values())) == 1
    assert len(set(groups(chips(tmp_path / "b", labels | {at(0, 1): hidden})).values())) == 2
    # At another date it was seen, and nothing is there.
    clear = labels | {at(0, 1, 1): label(MIDDLE)}
    assert len(set(groups(chips(tmp_path / "c", clear)).values())) == 2


def test_chips_of_one_square_lie_together(tmp_path: Path):
    data = chips(tmp_path, {at(row, col): label(MIDDLE) for row in range(-4, 4) for col in range(4)})
    assert len(set(groups(data).values())) == 32
    found = groups(replace(data, block_m=320.0))
    assert len(set(found.values())) == 8
    assert len({found[at(row, col)] for row in (-2, -1) for col in (2, 3)}) == 1
    assert found[at(-1, 0)] != found[at(0, 0)]


def test_squares_instead_of_landslides_where_these_join_everything(tmp_path: Path):
    """All chips are landslide from side to side: only squares part them, and what that divides is counted."""
    everywhere = label((slice(None), slice(None)))
    data = chips(tmp_path, {at(row, col): everywhere for row in range(4) for col in range(4)})
    assert len(set(groups(data).values())) == 1
    squares = replace(data, block_m=320.0)
    found = groups(squares)
    assert len(set(found.values())) == 4
    _, looked = seen(squares)
    halves = {name: "train" if name.endswith(("c0", "c1")) else "holdout" for name in found}
    # Four neighbours side by side over the middle, and six corner to corner.
    assert divided_landslides(looked, halves) == 10
    assert divided_landslides(looked, dict.fromkeys(found, "train")) == 0


def pairs(folder: Path, count: int = 8) -> DataSpec:
    """Two of the images are cut out of one picture."""
    rng = np.random.default_rng(4)
    whole = rng.integers(0, 255, (96, 160, 3), dtype=np.uint8)
    for number in range(count):
        image = rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)
        image = {2: whole[:, :96], 5: whole[:, 64:]}.get(number, image)
        mask = 255 * label(MIDDLE).astype(np.uint8).repeat(6, 0).repeat(6, 1)
        for kind, array in (("image", image), ("mask", mask)):
            (folder / kind).mkdir(exist_ok=True, parents=True)
            Image.fromarray(array).save(folder / kind / f"p{number}.png")
    return DataSpec(kind="pairs", path=str(folder))


@pytest.mark.parametrize("resize", [None, 32])
def test_images_that_share_pixels_lie_together_whatever_they_are_resized_to(tmp_path: Path, resize: int | None):
    data = replace(pairs(tmp_path), resize=resize)
    dataset, looked = seen(data)
    found = grouped(dataset, looked, data)
    assert found["p2"] == found["p5"] == "p2"
    assert len(set(found.values())) == 7
    (overlap,) = looked.overlaps
    assert (overlap.rows, overlap.cols, overlap.pixels) == (0, 64, 96 * 32)
    for seed in range(12):
        parts = partition(looked.found, data, found, seed=seed, holdout=0.3, validation=0.2)
        assert sum({"p2", "p5"} <= set(part) for part in vars(parts).values()) == 1


def test_by_images_each_is_drawn_by_itself_as_before(tmp_path: Path):
    data = replace(pairs(tmp_path), groups="images")
    dataset, looked = seen(data)
    found = grouped(dataset, looked, data)
    assert found == {name: name for name in dataset.names}
    parts = [partition(looked.found, data, found, seed=seed, holdout=0.3, validation=0.2) for seed in range(12)]
    assert any(not {"p2", "p5"} <= set(part) for split in parts for part in vars(split).values() if "p2" in part)


def test_a_data_set_names_groups_by_a_column_or_by_a_part_of_the_name(tmp_path: Path):
    data = replace(pairs(tmp_path), group_pattern=r"p(\d) ?")
    assert len(set(groups(data).values())) == 7
    assert len(set(groups(replace(data, group_pattern="[a-z]")).values())) == 1
    with pytest.raises(InvalidDatasetError, match=r"p0, in which dataset\.group_pattern 'q' is not found"):
        groups(replace(data, group_pattern="q"))
    events = "\n".join(["name,event", *(f"p{number},e{number % 4}" for number in range(8))])
    (tmp_path / "groups.csv").write_text("\ufeff" + events, encoding="utf-8")
    named = DataSpec(kind="pairs", path=str(tmp_path), group_column="event")
    found = groups(named)
    assert len(set(found.values())) == 3  # e1 and e2 share p2's pixels
    assert found["p0"] == found["p4"] != found["p1"] == found["p6"]
    with pytest.raises(InvalidDatasetError, match=r"groups\.csv: no column place"):
        groups(replace(named, group_column="place"))
    (tmp_path / "groups.csv").write_text(events.replace("p7,e3", "p7,"), encoding="utf-8")
    with pytest.raises(InvalidDatasetError, match="nothing in event for 1 of 8 images"):
        groups(named)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"block_m": 100.0, "kind": "pairs"}, "block_m"),
        ({"block_m": 0.0}, "block_m"),
        ({"block_m": 100.0, "groups": "images"}, "block_m"),
        ({"block_m": 100.0, "split": "inventory"}, "block_m"),
        ({"group_pattern": "("}, "group_pattern"),
        ({"group_column": "event", "groups": "images"}, "group_column"),
    ],
)
def test_what_would_not_be_heeded_is_refused(changes: dict[str, object], key: str):
    with pytest.raises(InvalidConfigError, match=rf"dataset\.{key}"):
        DataSpec(**{"kind": "chips", "path": "x"} | changes)  # type: ignore[arg-type]


def test_squares_of_metres_are_of_chips_on_a_lattice(tmp_path: Path):
    data = replace(chips(tmp_path, {"chip1": label(MIDDLE)}), block_m=100.0)
    with pytest.raises(InvalidDatasetError, match=r"dataset\.block_m, and chip1 on no lattice"):
        groups(data)


def test_places_that_are_too_few_are_said(tmp_path: Path):
    everywhere = label((slice(None), slice(None)))
    data = chips(tmp_path, {at(0, col, window): everywhere for col in range(4) for window in range(2)})
    dataset, looked = seen(data)
    with pytest.raises(InvalidDatasetError, match="1 places with landslides, for all that 8 of 8 images show one"):
        partition(looked.found, data, grouped(dataset, looked, data), seed=0, holdout=0.3, validation=0.2)


def test_content_is_of_pixels_and_shape_alone():
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    assert content_of(image) == content_of(image.astype(np.float64).astype(np.float32)) != content_of(image + 1)
    assert content_of(image) != content_of(image.reshape(1, 6, 4))
    assert len(content_of(image)) == 16
