from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from landslide_scale.datasets import LocalFiles, inspect, measured, open_dataset
from landslide_scale.datasets.landslide4sense import BANDS, UNITS, _array, open_landslide4sense
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.parting import partition
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.training.spec import TrainSpec

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 16


def write(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            file[key] = values


def numbers(number: int) -> np.ndarray:
    """Whole numbers (rows, columns, bands), the mean of each band a hundred times its place."""
    rng = np.random.default_rng(number)
    return rng.normal(100 * np.arange(1, len(BANDS) + 1), 10, (SIDE, SIDE, len(BANDS))).round()


def image(number: int) -> np.ndarray:
    """As published: rows, columns, bands, float64 around 1."""
    return numbers(number) / np.array(UNITS)


def shown(number: int, *channels: int) -> np.ndarray:
    """As a network sees it: reflectance; degrees and metres."""
    scale = np.array([1.0 if channel > 11 else 1e-4 for channel in channels])
    return (numbers(number)[..., channels] * scale).transpose(2, 0, 1).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        write(tmp_path / "img" / f"image_{number}.h5", img=image(number))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[:number] = 1
        write(tmp_path / "mask" / f"mask_{number}.h5", mask=mask)
    (tmp_path / "img" / "notes.txt").write_text("passed over")
    return tmp_path


def test_any_bands_in_any_order_with_masks(folder: Path):
    model = LandslideNetSpec(bands=("slope", "nir", "red", "swir22"))
    dataset = open_dataset(
        DataSpec(kind="landslide4sense", path=str(folder)), model, InputSpec.for_bands("toa", model.bands)
    )
    assert dataset.names == ("image_1", "image_10", "image_2")
    sample = dataset.read("image_10")
    assert sample.image.dtype == np.float32
    np.testing.assert_array_equal(sample.image, shown(10, 12, 7, 3, 11))
    assert dataset.radiometry == "toa"
    assert int(sample.label.sum()) == 10 * SIDE
    assert {name: found.landslide for name, found in inspect(dataset).items()} == {
        "image_1": SIDE,
        "image_10": 10 * SIDE,
        "image_2": 2 * SIDE,
    }


def test_reflectance_metres_and_degrees_are_shown_as_of_any_scene_and_can_be_measured(folder: Path):
    assert (
        InputSpec.for_bands("toa", ("red", "slope")).limits() == InputSpec.for_bands("boa", ("red", "slope")).limits()
    )
    dataset = open_landslide4sense(LocalFiles(root=str(folder)), bands=("green", "elevation"))
    found = measured(dataset, dataset.names, InputSpec.for_bands("toa", dataset.bands))
    np.testing.assert_allclose(np.array(found.mean) / (found.gain * 1e-4, 1), (300, 1400), atol=3)


def test_a_network_that_learnt_from_the_stored_values_is_still_shown_them(folder: Path):
    model = LandslideNetSpec(bands=("slope", "red"))
    data, inputs = DataSpec(kind="landslide4sense", path=str(folder)), InputSpec.for_bands("l4s", model.bands)
    dataset = open_dataset(data, model, inputs)
    assert dataset.radiometry == "l4s"
    expected = image(2)[..., [12, 3]].transpose(2, 0, 1).astype(np.float32)
    np.testing.assert_array_equal(dataset.read("image_2").image, expected)


def test_values_that_are_no_whole_numbers_of_their_constants_are_refused(folder: Path):
    off = image(2)
    off[3, 5, BANDS.index("nir")] += 0.3 / UNITS[BANDS.index("nir")]
    write(folder / "img" / "image_2.h5", img=off)
    dataset = open_landslide4sense(LocalFiles(root=str(folder)), bands=("red", "nir"))
    with pytest.raises(InvalidDatasetError, match=r"image_2\.h5: band nir is up to 0\.30 off .*published files"):
        dataset.read("image_2")
    write(folder / "img" / "image_2.h5", img=image(2).astype(np.float32))
    np.testing.assert_array_equal(dataset.read("image_2").image, shown(2, 3, 7))


@pytest.mark.parametrize(
    ("path", "arrays", "says"),
    [
        (
            "img/image_2.h5",
            {"image": np.zeros((SIDE, SIDE, 14))},
            r"image_2\.h5: keys \['image'\]; expected an array img",
        ),
        ("img/image_2.h5", {"img": np.zeros((SIDE, SIDE, 12))}, r"image_2\.h5: img \(16, 16, 12\)"),
        ("img/image_2.h5", {"img": np.full((SIDE, SIDE, 14), np.nan)}, r"image_2\.h5: .*no numbers"),
        ("mask/mask_2.h5", {"mask": np.zeros((SIDE, 8), np.uint8)}, r"mask_2\.h5: mask \(16, 8\)"),
        ("mask/mask_2.h5", {"mask": np.full((SIDE, SIDE), 7)}, r"mask_2\.h5: mask values \[7\]"),
        ("mask/mask_2.h5", {"mask": np.array([b"x"])}, r"mask_2\.h5: mask \|S1"),
    ],
)
def test_a_file_of_something_else_is_named(folder: Path, path: str, arrays: dict[str, np.ndarray], says: str):
    write(folder / path, **arrays)
    dataset = open_landslide4sense(LocalFiles(root=str(folder)), bands=("red",))
    with pytest.raises(InvalidDatasetError, match=says):
        inspect(dataset)


@pytest.mark.parametrize("cut", [0, 100, 2000])
def test_a_truncated_file_is_named(folder: Path, cut: int):
    path = folder / "img" / "image_1.h5"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidDatasetError, match=r"image_1\.h5: cannot be read"):
        open_landslide4sense(LocalFiles(root=str(folder)), bands=("red",)).read("image_1")


@pytest.mark.parametrize(("gone", "says"), [("img/image_2.h5", r"image_2\.h5"), ("mask/mask_2.h5", r"mask_2\.h5")])
def test_a_file_without_its_pair_is_named(folder: Path, gone: str, says: str):
    (folder / gone).unlink()
    with pytest.raises(InvalidDatasetError, match=f"1 of 3 files missing \\({says}\\)"):
        open_landslide4sense(LocalFiles(root=str(folder)), bands=("red",))


def test_a_band_it_lacks_is_named(folder: Path):
    with pytest.raises(InvalidDatasetError, match="no band nir08; expected coastal, blue"):
        open_landslide4sense(LocalFiles(root=str(folder)), bands=("red", "nir08"))


def linked(file: h5py.File, secret: Path) -> None:
    file["img"] = h5py.ExternalLink(str(secret), "img")


def stored_elsewhere(file: h5py.File, secret: Path) -> None:
    file.create_dataset("img", (4,), "u1", external=[(str(secret), 0, 4)])


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "img", (4,), "u1")
    file.create_virtual_dataset("img", layout)


@pytest.mark.parametrize("reach", [linked, stored_elsewhere, virtual])
def test_values_are_never_taken_from_another_file(tmp_path: Path, reach: Callable[[h5py.File, Path], None]):
    secret = tmp_path / "secret.h5"
    write(secret, img=np.arange(4, dtype=np.uint8))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        reach(file, secret)
    (tmp_path / "x.h5").write_bytes(content.getvalue())
    with pytest.raises(InvalidDatasetError, match=r"x\.h5: (keys|img lies in another file)"):
        _array(LocalFiles(root=str(tmp_path)), "x.h5", "img")


def test_the_official_parts_are_learnt_from_chosen_by_and_scored(tmp_path: Path):
    for offset, part in enumerate(("TrainData", "ValidData", "TestData")):
        for number in (1, 2):
            write(tmp_path / part / "img" / f"image_{number}.h5", img=image(10 * offset + number))
            write(tmp_path / part / "mask" / f"mask_{number}.h5", mask=np.full((SIDE, SIDE), number % 2, np.uint8))
    data = DataSpec(kind="landslide4sense", path=str(tmp_path), split="official")
    dataset = open_dataset(data, LandslideNetSpec(), InputSpec.for_bands("toa", LandslideNetSpec().bands))
    found = inspect(dataset)
    parts = partition(found, data, **TrainSpec(seed=5, holdout=0.9).shares)
    assert parts.train == ("TrainData/image_1", "TrainData/image_2")
    assert parts.validation == ("ValidData/image_1", "ValidData/image_2")
    assert parts.holdout == ("TestData/image_1", "TestData/image_2")
    assert dataset.names == tuple(sorted((*parts.train, *parts.validation, *parts.holdout)))
    np.testing.assert_array_equal(dataset.read("TestData/image_1").image, shown(21, 3, 2, 1))
    assert {each.pixel_m2 for each in found.values()} == {100.0}


def test_only_landslide4sense_has_official_parts():
    with pytest.raises(InvalidConfigError, match=r"dataset\.split: split official for bijie; expected landslide4sense"):
        DataSpec(kind="bijie", path="x", split="official")


def test_the_published_images_read(shared_data: Path):
    folder = LocalFiles(root=str(shared_data / "landslide4sense" / "h5_images_only"))
    values = _array(folder, "image_31.h5", "img")
    assert values.shape == (128, 128, len(BANDS))
    assert 0.2 < values[..., BANDS.index("red")].mean() < 5
    assert values[..., BANDS.index("slope")].min() == 0


@pytest.mark.parametrize("number", [31, 37])
def test_the_published_images_are_whole_numbers_of_the_constants_in_every_channel(number: int, shared_data: Path):
    folder = LocalFiles(root=str(shared_data / "landslide4sense" / "h5_images_only"))
    found = _array(folder, f"image_{number}.h5", "img") * np.array(UNITS)
    assert np.abs(found - found.round()).max() < 1e-8
