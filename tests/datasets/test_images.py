"""Pictures as Pillow reads them: GeoTIFFs it would change by itself, and images of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin

from landslide_scale.datasets import EvaluationPatches, LocalFiles, TrainingPatches, inspect
from landslide_scale.datasets.bijie import open_bijie
from landslide_scale.datasets.pairs import open_pairs
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.spec import InputSpec
from landslide_scale.training.spec import TrainSpec

MEANING = {0: 0, 255: 1}
SIZE = (20, 30)


def values(bands: int, kind: str = "uint8", *, top: int = 256) -> np.ndarray:
    return np.random.default_rng(bands).integers(0, top, (bands, *SIZE)).astype(kind)


def mask(kind: str = "uint8", landslide: int = 255) -> np.ndarray:
    array = np.zeros((1, *SIZE), kind)
    array[0, :7] = landslide
    return array


def geotiff(path: Path, array: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = array.shape
    place = from_origin(500_000, 5_100_000, 10, 10)
    with rasterio.open(
        path, "w", "GTiff", width, height, count, "EPSG:32633", place, array.dtype, **options
    ) as file:  # fmt: skip
        file.write(array)


def read(
    root: Path, image: np.ndarray, label: np.ndarray, options: dict[str, object], label_options: dict[str, object]
):
    geotiff(root / "image" / "a.tif", image, **options)
    geotiff(root / "mask" / "a.tif", label, **label_options)
    return open_pairs(LocalFiles(root=str(root)), meaning=MEANING).read("a")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"photometric": "RGB", "interleave": "band"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "predictor": 2},
        {"compress": "lzw"},
    ],
)
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "int32"])
def test_geotiffs_of_8_bit_colours_and_masks_of_whole_numbers_read_as_stored(
    tmp_path: Path, options: dict[str, object], kind: str
):
    sample = read(tmp_path, values(3), mask(kind), options, {"compress": "deflate"})
    np.testing.assert_array_equal(sample.image, values(3).astype(np.float32))
    np.testing.assert_array_equal(sample.label, mask()[0] // 255)


def test_a_band_declared_as_transparency_is_no_data(tmp_path: Path):
    image = values(4)
    image[3] = np.where(image[3] < 50, 0, 255)
    sample = read(tmp_path, image, mask(), {"photometric": "RGB", "alpha": "yes"}, {})
    np.testing.assert_array_equal(np.isnan(sample.image).all(axis=0), image[3] == 0)
    np.testing.assert_array_equal(sample.image[:, image[3] > 0], image[:3, image[3] > 0])


@pytest.mark.parametrize(
    ("image", "options", "said"),
    [
        (values(3, "uint16", top=4000), {"photometric": "RGB"}, "16 bits per band, of which 8 would be read"),
        (values(4), {"photometric": "RGB", "alpha": "unspecified"}, "4 bands, of which 3 would be read"),
        (values(5), {"photometric": "RGB"}, "5 bands, of which 3 would be read"),
        (values(4), {"photometric": "RGB", "alpha": "premultiplied"}, "a fourth band that is not declared as transp"),
        (values(3, "float32"), {}, r"a TIFF of 3 bands of float32 \(MINISBLACK\)"),
        (values(14, "uint16"), {}, r"a TIFF of 14 bands of uint16 \(MINISBLACK\)"),
        (values(1, "float32"), {}, r"a TIFF of 1 band of float32 \(MINISBLACK\)"),
    ],
)
def test_an_image_that_pillow_would_change_is_refused(
    tmp_path: Path, image: np.ndarray, options: dict[str, object], said: str
):
    with pytest.raises(InvalidDatasetError, match=rf"image/a\.tif: {said}.*expected an 8-bit RGB image"):
        read(tmp_path, image, mask(), options, {})


@pytest.mark.parametrize(
    ("label", "options", "said"),
    [
        (mask("int8", -1), {}, "signed bytes, which would be read as unsigned"),
        (mask(), {"photometric": "MINISWHITE"}, "values counted down from white"),
        (
            np.concatenate((mask(), mask())),
            {"photometric": "MINISBLACK", "alpha": "unspecified"},
            "2 bands, of which 1",
        ),
        (mask("float32"), {}, r"a TIFF of 1 band of float32 \(MINISBLACK\)"),
    ],
)
def test_a_mask_that_pillow_would_change_is_refused(
    tmp_path: Path, label: np.ndarray, options: dict[str, object], said: str
):
    with pytest.raises(InvalidDatasetError, match=rf"mask/a\.tif: {said}.*expected a mask of one channel"):
        read(tmp_path, values(3), label, {}, options)


def test_a_16_bit_png_of_colours_is_refused(tmp_path: Path):
    for folder, array in (("image", values(3, "uint16")), ("mask", mask())):
        (tmp_path / folder).mkdir()
        with rasterio.open(
            tmp_path / folder / "a.png", "w", "PNG", SIZE[1], SIZE[0], len(array), dtype=array.dtype
        ) as file:
            file.write(array)
    with pytest.raises(InvalidDatasetError, match=r"image/a\.png: 16 bits per band, of which 8 would be read"):
        open_pairs(LocalFiles(root=str(tmp_path)), meaning=MEANING).read("a")


def picture(path: Path, height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    label = rng.integers(0, 3, (height, width), dtype=np.uint8)  # 2 is ignored, and lies between nothing
    for folder, array in (("image", image), ("mask", label)):
        (path / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path / folder / "a.png")
    return image, label


THREE = {0: 0, 1: 1, 2: 255}


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(16, 64), st.integers(0, 99))
def test_labels_of_any_size_are_resized_by_nearest_alone(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, side: int, seed: int
):
    root = tmp_path_factory.mktemp("any")
    _, label = picture(root, height, width, seed)
    sample = open_pairs(LocalFiles(root=str(root)), meaning=THREE, resolution=2.0, resize=side).read("a")
    centres = [(2 * np.arange(side) + 1) * length for length in (height, width)]
    expected = np.array([0, 1, 255], np.uint8)[label[np.ix_(*(centre // (2 * side) for centre in centres))]]
    certain = np.ix_(*(centre % (2 * side) > 0 for centre in centres))  # not halfway between two pixels
    np.testing.assert_array_equal(sample.label[certain], expected[certain])
    assert sample.image.shape == (3, side, side)
    assert sample.pixel_m2 is not None
    assert sample.pixel_m2 * side * side == pytest.approx(4.0 * height * width)


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(5, 64), st.integers(0, 99))
def test_images_of_any_size_are_cut_with_every_label_on_its_own_pixel(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, patch: int, seed: int
):
    root = tmp_path_factory.mktemp("any")
    image, label = picture(root, height, width, seed)
    dataset = open_pairs(LocalFiles(root=str(root)), meaning=THREE)
    found = inspect(dataset)
    known = {(*pixel, kind) for pixel, kind in zip(image.reshape(-1, 3).tolist(), label.ravel().tolist(), strict=True)}
    windows = EvaluationPatches.of(dataset, found, ("a",), patch)
    counted = 0
    for index in range(len(windows)):
        sample = windows.read(0, index)
        assert sample.image.shape == (3, patch, patch)
        kept = sample.label != 255
        counted += int(kept.sum())
        pixels = zip(sample.image[:, kept].T.astype(int).tolist(), sample.label[kept].tolist(), strict=True)
        assert {(*pixel, kind) for pixel, kind in pixels} <= known
    assert counted == found["a"].counted == int((label < 2).sum())
    squares = TrainingPatches.of(
        dataset, found, ("a",), **TrainSpec(patch=patch).squares, inputs=InputSpec.for_bands("rgb8", ("r",))
    )
    assert set(np.unique(squares.read(0, 0).label)) <= {0, 1, 255}


def test_the_area_of_a_pixel_is_known_where_the_data_set_says_it(tmp_path: Path):
    picture(tmp_path, 10, 20, 0)
    files = LocalFiles(root=str(tmp_path))
    assert open_pairs(files, meaning=THREE).read("a").pixel_m2 is None
    assert open_pairs(files, meaning=THREE, resolution=3.0).read("a").pixel_m2 == 9.0
    for folder in ("image", "mask"):
        (tmp_path / "landslide" / folder).mkdir(parents=True)
        Image.new("RGB" if folder == "image" else "L", (40, 20)).save(tmp_path / "landslide" / folder / "b.png")
    assert open_bijie(files).read("landslide/b").pixel_m2 == pytest.approx(0.64)
    assert open_bijie(files, resize=20).read("landslide/b").pixel_m2 == pytest.approx(1.28)


@pytest.mark.parametrize(("kind", "resolution"), [("bijie", 1.0), ("pairs", 0.0), ("pairs", float("nan"))])
def test_a_resolution_that_cannot_be_is_refused(kind: str, resolution: float):
    with pytest.raises(InvalidConfigError, match=r"dataset\.resolution: resolution .* above 0, for pairs"):
        DataSpec(kind=kind, path="x", resolution=resolution)  # type: ignore[arg-type]
