"""What images are to a network that has seen some: by their pixels and by their ground."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from landslide_scale.datasets import open_dataset
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.parting import Looked, Split, grouped, look
from landslide_scale.parting.learned import parts_of, standings
from landslide_scale.provenance import ImageParts
from landslide_scale.spec import InputSpec, LandslideNetSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)


def seen(folder: Path, names: dict[str, int], size: int = 16) -> tuple[Looked, dict[str, str]]:
    """Chips of a lattice, by the seed of their pixels."""
    folder.mkdir()
    index = {"version": 1, "bands": ["red", "green", "blue"], "radiometry": "boa", "resolution": 10.0, "size": size}
    (folder / "chips.json").write_text(json.dumps(index))
    label = np.zeros((size, size), np.uint8)
    label[5:9, 5:9] = 1
    for name, seed in names.items():
        image = np.random.default_rng(seed).random((3, size, size)).astype(np.float32)
        np.savez_compressed(folder / f"{name}.npz", image=image, label=label)
    data = DataSpec(kind="chips", path=str(folder))
    dataset = open_dataset(data, MODEL, InputSpec.for_bands("boa", MODEL.bands))
    looked = look(dataset)
    return looked, grouped(dataset, looked, data)


@pytest.fixture
def parts(tmp_path: Path) -> ImageParts:
    looked, _ = seen(tmp_path / "then", {"Z-t0-r0-c0": 1, "Z-t0-r0-c2": 2, "Z-t0-r0-c4": 3})
    return parts_of(Split(train=("Z-t0-r0-c0",), validation=("Z-t0-r0-c2",), holdout=("Z-t0-r0-c4",)), looked)


def test_each_image_is_what_its_pixels_say_under_whatever_name(parts: ImageParts, tmp_path: Path):
    looked, groups = seen(tmp_path / "now", {"a": 1, "b": 2, "c": 3, "d": 4})
    assert standings(parts, looked, groups) == {
        "a": "learnt from",
        "b": "chosen by",
        "c": "held out",
        "d": "not seen",
    }


def test_another_date_of_ground_that_was_learnt_from_is_no_new_ground(parts: ImageParts, tmp_path: Path):
    looked, groups = seen(
        tmp_path / "now", {"Z-t1-r0-c0": 11, "Z-t1-r0-c2": 12, "Z-t1-r0-c4": 13, "Y-t1-r0-c0": 14, "Z-t0-r1-c0": 15}
    )
    assert standings(parts, looked, groups) == {
        "Z-t1-r0-c0": "same ground",
        "Z-t1-r0-c2": "same ground",
        "Z-t1-r0-c4": "not seen",
        "Y-t1-r0-c0": "not seen",
        "Z-t0-r1-c0": "not seen",
    }


def test_chips_of_another_size_overlap_what_was_learnt_from(parts: ImageParts, tmp_path: Path):
    # Of 24 px: columns 0 to 23, 24 to 47, 48 to 71, 72 to 95; learnt from are 0 to 15 and 32 to 47.
    looked, groups = seen(tmp_path / "now", {f"Z-t0-r0-c{col}": 20 + col for col in (-1, 0, 1, 2, 3)}, size=24)
    found = standings(parts, looked, groups)
    assert [found[f"Z-t0-r0-c{col}"] for col in (-1, 0, 1, 2, 3)] == [
        "not seen",
        "same ground",
        "same ground",
        "not seen",
        "not seen",
    ]


def test_ground_counts_in_whatever_order_a_card_says_it(tmp_path: Path):
    looked, groups = seen(tmp_path / "now", {"Z-t1-r0-c0": 11, "Y-t1-r0-c0": 12, "Z-t1-r0-c9": 13})
    ground = ("Z 0 0 160", "Y 0 0 160", "Z 0 320 160")
    found = standings(ImageParts(train=(), validation=(), holdout=(), ground=ground), looked, groups)
    assert found == {"Z-t1-r0-c0": "same ground", "Y-t1-r0-c0": "same ground", "Z-t1-r0-c9": "not seen"}


@pytest.mark.parametrize("ground", ["", "Z", "Z 0 0", "Z 0 0 a", "Z 0 nan 160", "Z 0 0 0", "Z 0 0 inf"])
def test_ground_that_no_training_wrote_is_refused(ground: str, tmp_path: Path):
    looked, groups = seen(tmp_path / "now", {"Z-t1-r0-c0": 11})
    with pytest.raises(InvalidCheckpointError, match=r"card\.parts\.ground"):
        standings(ImageParts(train=(), validation=(), holdout=(), ground=(ground,)), looked, groups)


def test_what_was_both_learnt_from_and_held_out_was_learnt_from(tmp_path: Path):
    looked, groups = seen(tmp_path / "now", {"a": 1, "b": 1})
    both = parts_of(Split(train=("a",), validation=(), holdout=("b",)), looked)
    assert set(standings(both, looked, groups).values()) == {"learnt from"}
