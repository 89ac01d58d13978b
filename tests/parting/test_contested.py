"""Labels that contradict each other where images show the same pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landslide_scale.datasets import Dataset, open_dataset
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError
from landslide_scale.parting import Looked, look
from landslide_scale.parting.contested import without_contested
from landslide_scale.spec import InputSpec, LandslideNetSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)


@pytest.fixture
def bijie(tmp_path: Path) -> DataSpec:
    """Two landslides in one picture, which is cut out twice, around each; the masks draw one each."""
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 255, (80, 120, 3), dtype=np.uint8)
    masks = {"a": np.zeros((80, 80), np.uint8), "b": np.zeros((80, 80), np.uint8), "c": np.zeros((60, 60), np.uint8)}
    masks["a"][30:40, 50:60] = 255  # columns 50 to 59 of the picture, which are 10 to 19 of b
    masks["b"][50:70, 5:30] = 255  # 45 to 69 of the picture, which are the same of a
    masks["c"][5:9, 5:9] = 255
    images = {"a": whole[:, :80], "b": whole[:, 40:], "c": rng.integers(0, 255, (60, 60, 3), dtype=np.uint8)}
    for name, mask in masks.items():
        for folder, array in (("image", images[name]), ("mask", mask)):
            (tmp_path / "landslide" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "landslide" / folder / f"{name}.png")
    return DataSpec(kind="bijie", path=str(tmp_path))


def seen(data: DataSpec) -> tuple[Dataset, Looked]:
    dataset = open_dataset(data, MODEL, InputSpec.for_bands("rgb8", MODEL.bands))
    return dataset, look(dataset)


@pytest.mark.parametrize("resize", [None, 40])
def test_what_is_contested_is_counted_as_it_is_stored(bijie: DataSpec, resize: int | None):
    _, looked = seen(replace(bijie, resize=resize))
    assert (looked.contested.pixels, looked.contested.landslide, looked.contested.pairs) == (600, 616, 1)
    assert "600 px, 97.4% of the set's landslide pixels" in looked.contested.line


def test_background_that_is_landslide_in_another_image_is_ignored_and_nothing_else(bijie: DataSpec):
    dataset, looked = seen(bijie)
    agreed = without_contested(dataset, looked.overlaps)
    for name, rows, cols in (("a", slice(50, 70), slice(45, 70)), ("b", slice(30, 40), slice(10, 20))):
        expected = dataset.read(f"landslide/{name}").label.copy()
        assert not expected[rows, cols].any()
        expected[rows, cols] = 255
        np.testing.assert_array_equal(agreed.read(f"landslide/{name}").label, expected)
    np.testing.assert_array_equal(agreed.read("landslide/c").label, dataset.read("landslide/c").label)
    small = open_dataset(replace(bijie, resize=40), MODEL, InputSpec.for_bands("rgb8", MODEL.bands))
    label = without_contested(small, looked.overlaps).read("landslide/a").label
    assert label.shape == (40, 40)
    assert (label == 255).sum() == 10 * 12.5 or (label == 255).sum() in {10 * 12, 10 * 13}


def test_only_pictures_with_masks_have_contested_pixels_to_ignore():
    with pytest.raises(InvalidConfigError, match=r"dataset\.contested"):
        DataSpec(kind="chips", path="x", contested="ignored")
    assert "contested" not in DataSpec(kind="bijie", path="x").settings
    assert DataSpec(kind="bijie", path="x", contested="ignored").settings["contested"] == "ignored"


@pytest.mark.slow
def test_bijies_masks_draw_one_landslide_per_image(shared_data: Path):
    if not (shared_data / "bijie").is_dir():
        pytest.skip(f"no bijie in {shared_data}")
    dataset, looked = seen(DataSpec(kind="bijie", path=str(shared_data / "bijie")))
    assert (looked.contested.pixels, looked.contested.landslide) == (171_624, 3_824_103)
    assert len(looked.overlaps) == 38
    assert all(overlap.rows or overlap.cols for overlap in looked.overlaps)
    agreed = without_contested(dataset, looked.overlaps)
    one = next(overlap for overlap in looked.overlaps if overlap.first == "landslide/ls_0022")
    ignored = sum(int((agreed.read(name).label == 255).sum()) for name in (one.first, one.second))
    assert ignored == 4625
