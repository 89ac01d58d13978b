"""GeoTIFFs of any bands: as stored, whoever wrote them; what cannot be read so is refused before training."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin

from landslide_scale.datasets import LocalFiles, measured, open_dataset
from landslide_scale.datasets.images import Channels
from landslide_scale.datasets.multiband import resized, stored_bands
from landslide_scale.datasets.pairs import open_pairs
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.runtime.console import run_guarded
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.strictyaml import parse
from landslide_scale.training.job import Prepared
from landslide_scale.training.settings import FinetuneConfig, finetune_job

NAMES = ("blue", "green", "red", "nir08", "swir16")
SIZE = (20, 30)
MEANING = {0: 0, 255: 1}


def values(kind: str = "uint16", bands: int = 5, size: tuple[int, int] = SIZE) -> np.ndarray:
    rng = np.random.default_rng(bands)
    top = 255 if kind == "uint8" else 4000
    return (rng.random((bands, *size)) * top + 1).astype(kind)


def by_rasterio(array: np.ndarray, **options: object) -> bytes:
    count, height, width = array.shape
    place = from_origin(500_000, 5_100_000, 10, 10)
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=width, height=height, count=count, crs="EPSG:32633", transform=place,
            dtype=array.dtype, **options,
        ) as file:  # fmt: skip
            file.write(array)
        return bytes(memory.read())


def by_tifffile(array: np.ndarray, **options: object) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, array, photometric="minisblack", **options)
    return content.getvalue()


def chunky(array: np.ndarray, **options: object) -> bytes:
    return by_tifffile(np.moveaxis(array, 0, -1), planarconfig="contig", **options)


def planar(array: np.ndarray, **options: object) -> bytes:
    return by_tifffile(array, planarconfig="separate", **options)


def stored(content: bytes, count: int = 5, chosen: tuple[int, ...] = (0, 1, 2, 3, 4)) -> np.ndarray:
    return stored_bands(content, count, chosen, "a.tif")


TILES = {"tiled": True, "blockxsize": 16, "blockysize": 16}
DEFLATE = {"compress": "deflate", "predictor": 2}
WRITTEN: dict[str, Callable[[np.ndarray], bytes]] = {
    "GDAL, by pixel": by_rasterio,
    "GDAL, by band": lambda array: by_rasterio(array, interleave="band"),
    "GDAL, tiles by pixel": lambda array: by_rasterio(array, **TILES),
    "GDAL, tiles by band, big": lambda array: by_rasterio(array, interleave="band", bigtiff="yes", **TILES),
    "GDAL, other byte order": lambda array: by_rasterio(array, endianness="big"),
    "tifffile, by pixel": chunky,
    "tifffile, by band": planar,
    "tifffile, deflated tiles": lambda array: planar(array, compression="deflate", tile=(16, 16)),
    "tifffile, other byte order": lambda array: chunky(array, byteorder=">"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("writer", WRITTEN)
def test_every_value_is_read_as_it_was_written(writer: str, kind: str):
    array = values(kind)
    if kind == "int16":
        array -= 2000
    content = WRITTEN[writer](array)
    found = stored(content)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array.astype(np.float32))
    np.testing.assert_array_equal(stored(content, chosen=(3, 0)), array[[3, 0]])


@pytest.mark.parametrize("options", [{}, {"interleave": "band"}, TILES])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16"])
def test_deflate_with_differences_is_read(kind: str, options: dict[str, object]):
    array = values(kind)
    np.testing.assert_array_equal(stored(by_rasterio(array, **DEFLATE, **options)), array)


def test_overviews_are_passed_over(tmp_path: Path):
    path, array = tmp_path / "a.tif", values(size=(64, 64))
    path.write_bytes(by_rasterio(array))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    np.testing.assert_array_equal(stored(path.read_bytes()), array)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 14), st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    st.fixed_dictionaries(
        {"interleave": st.sampled_from(["band", "pixel"]), "compress": st.sampled_from(["deflate", "none"])}
    ),
    st.data(),
)
def test_any_bands_of_any_image_are_the_written_ones(
    shape: tuple[int, int, int], kind: str, options: dict[str, str], data: st.DataObject
):
    bands, *size = shape
    array = values(kind, bands, (size[0], size[1]))
    chosen = data.draw(st.lists(st.integers(0, bands - 1), min_size=1, unique=True))
    found = stored_bands(by_rasterio(array, **options), bands, tuple(chosen), "a.tif")
    np.testing.assert_array_equal(found, array[chosen])


@pytest.mark.parametrize(("kind", "nodata"), [("uint16", 0), ("int16", -9999), ("float32", -3.4028234663852886e38)])
def test_the_declared_value_is_no_data_in_its_band_alone(kind: str, nodata: float):
    array = values(kind)
    array[1, 4, 5] = nodata
    found = stored(by_rasterio(array, nodata=nodata))
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 4, 5]]
    known = ~np.isnan(found)
    np.testing.assert_array_equal(found[known], array[known].astype(np.float32))


def test_nan_is_no_data_and_a_band_of_transparency_takes_all_bands():
    array = values("float32")
    array[2, 0, 0] = np.nan
    assert np.argwhere(np.isnan(stored(by_rasterio(array)))).tolist() == [[2, 0, 0]]
    array = values("uint8", 4)
    array[3] = np.where(array[3] < 50, 0, 255)
    found = stored(by_rasterio(array, photometric="RGB", alpha="yes"), 3, (0, 1, 2))
    np.testing.assert_array_equal(np.isnan(found).all(axis=0), array[3] == 0)
    # A fourth band that has a name is a band, whatever the file takes it for: GDAL declares it as transparency itself.
    np.testing.assert_array_equal(stored(by_rasterio(array, photometric="RGB", alpha="yes"), 4, (3,))[0], array[3])


def with_mask(array: np.ndarray) -> bytes:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", width=30, height=20, count=len(array), dtype=array.dtype) as file:
            file.write(array)
            file.write_mask(np.eye(20, 30) > 0)
        return bytes(memory.read())


def sparse() -> bytes:
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", width=64, height=64, count=5, dtype="uint16", SPARSE_OK=True, **TILES):
            pass
        return bytes(memory.read())


def with_tag(content: bytes, code: int, value: int) -> bytes:
    """A classic little-endian TIFF with another number in a tag of its first image."""
    start = struct.unpack_from("<I", content, 4)[0]
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        if struct.unpack_from("<H", content, place)[0] == code:
            return content[: place + 2] + struct.pack("<HII", 4, 1, value) + content[place + 12 :]
    raise AssertionError(code)


def bomb() -> bytes:
    """One strip of 20 x 30 px that inflates to 50 MB."""
    content = by_tifffile(values("uint8", 1)[0], compression="deflate", rowsperstrip=20)
    strip = zlib.compress(bytes(50_000_000))
    return with_tag(with_tag(content, 273, len(content)), 279, len(strip)) + strip


HUGE = 1_000_000
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "LZW": (lambda: by_rasterio(values(), compress="lzw"), "compression LZW; expected none or DEFLATE. Write it"),
    "zstd": (lambda: by_rasterio(values(), compress="zstd"), "compression ZSTD; expected none or DEFLATE"),
    "predictor": (
        lambda: by_rasterio(values("float32"), compress="deflate", predictor=3),
        "predictor FLOATINGPOINT; expected none or horizontal",
    ),
    "fewer bands": (lambda: by_rasterio(values(bands=4)), "4 bands; expected 5, one for each name of dataset.channels"),
    "more bands": (lambda: by_rasterio(values(bands=6)), "6 bands; expected 5"),
    "doubles": (lambda: by_rasterio(values("float64")), "64 bits per value, read as float64; expected uint8 or"),
    "32-bit integers": (lambda: by_rasterio(values("int32")), "32 bits per value, read as int32"),
    "12 bits": (lambda: by_rasterio(values() // 2, nbits=12), "12 bits per value, read as uint16"),
    "one page for each band": (lambda: by_tifffile(values()), "5 images in one file; expected one image of all bands"),
    "mask inside": (lambda: with_mask(values()), "a mask inside the file; expected no data as NaN, or as the value"),
    "sparse": (sparse, "strips or tiles that are not in the file"),
    "infinite": (lambda: by_rasterio(values("float32") * np.float32(np.inf)), "infinite values"),
    "wrong no data": (
        lambda: chunky(values(), extratags=[(42113, "s", 0, "none", True)]),
        "GDAL_NODATA 'none'; expected a number",
    ),
    "whole Earth": (
        lambda: with_tag(with_tag(chunky(values()), 256, HUGE), 257, HUGE),
        "1000000 x 1000000 px of 5 bands; expected at most 300,000,000 values",
    ),
    "huge tile": (
        lambda: with_tag(with_tag(chunky(values(), tile=(16, 16)), 322, HUGE), 323, HUGE),
        "30 x 20 px of 5 bands; expected at most 300,000,000 values",
    ),
    "white is zero": (lambda: with_tag(chunky(values()), 262, 0), "photometric MINISWHITE; expected MINISBLACK or RGB"),
    "no TIFF inside": (lambda: b"II*\0" + bytes(8), "cannot be decoded"),
    "truncated": (lambda: by_rasterio(values(), compress="deflate")[:-60], "strips or tiles that are not in the file"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_have_to_be_guessed_or_is_broken_is_refused_by_name(case: str):
    made, said = REFUSED[case]
    with pytest.raises(InvalidDatasetError, match=rf"file a\.tif: {re.escape(said)}"):
        stored(made())


def test_a_strip_that_inflates_to_more_than_declared_is_refused():
    with pytest.raises(InvalidDatasetError, match="strips or tiles larger than declared; expected 600 bytes"):
        stored_bands(bomb(), 1, (0,), "a.tif")


@pytest.mark.parametrize("content", [by_rasterio(values(), **DEFLATE), planar(values(), tile=(16, 16))])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(content: bytes):
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content[: rng.integers(8, len(content) + 1)] if rng.random() < 0.3 else content)
        for _ in range(rng.integers(4)):
            damaged[rng.integers(4, min(len(damaged), 400))] = rng.integers(256)
        with suppress(InvalidDatasetError):  # anything else fails the test
            assert len(stored(bytes(damaged))) == 5


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(16, 40), st.integers(0, 99))
def test_resizing_mixes_data_alone(height: int, width: int, side: int, seed: int):
    rng = np.random.default_rng(seed)
    band = rng.uniform(0.2, 0.4, (height, width)).astype(np.float32)
    band[rng.random(band.shape) < 0.2] = np.nan
    found = resized(band[None], side)[0]
    label = Image.fromarray(np.isnan(band).astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.isnan(found), np.asarray(label) == 1)  # as labels are resized
    known = found[~np.isnan(found)]
    assert ((known > 0.1999) & (known < 0.4001)).all()
    flat = resized(np.where(np.isnan(band), band, np.float32(0.3))[None], side)
    np.testing.assert_allclose(flat[~np.isnan(flat)], 0.3, rtol=1e-5)


def write(root: Path, array: np.ndarray, count: int = 5, **options: object) -> Path:
    for number in range(count):
        mask = np.zeros((1, *array.shape[1:]), "uint16")
        mask[0, : 3 + number] = 255
        for folder, content in (("image", by_rasterio(array, **options)), ("mask", by_rasterio(mask, compress="lzw"))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"p{number}.tif").write_bytes(content)
    return root


def config(root: Path, **changes: object) -> FinetuneConfig:
    dataset = {"kind": "pairs", "path": str(root / "data"), "channels": NAMES, "radiometry": "boa", "scale": 0.0001}
    dataset["groups"] = "images"  # all are of the same numbers
    return parse(
        FinetuneConfig,
        {
            "dataset": dataset | changes,
            "model": {"sam": "vit_t", "upsample": 1, "bands": ["nir08", "red"]},
            "train": {"patch": 16, "statistics": "data"},
            "output": {"run": str(root / "run")},
        },
    )


def test_a_model_takes_any_bands_by_name_in_its_units_with_statistics_of_its_own(tmp_path: Path):
    array = values()
    array[0, 1, 2] = 0  # blue, which the model does not take
    array[3, 4, 5] = 0
    write(tmp_path / "data", array, nodata=0, **DEFLATE)
    job = finetune_job(config(tmp_path, offset=-0.1))
    prepared = Prepared.of(job)
    sample = prepared.dataset.read("p0")
    expected = (array[[3, 2]] * 0.0001 - 0.1).astype(np.float32)
    expected[0, 4, 5] = np.nan
    np.testing.assert_allclose(sample.image, expected, rtol=1e-5, atol=1e-7)
    assert [int((sample.label == value).sum()) for value in (0, 1)] == [17 * 30, 3 * 30]
    inputs = prepared.settled(job).inputs
    assert inputs.radiometry == "boa"
    assert inputs == measured(prepared.dataset, prepared.split.train, job.inputs)
    assert len(inputs.mean) == 2


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"radiometry": None}, "dataset.radiometry", "channels without radiometry; expected what their values are"),
        ({"scale": None}, "dataset.scale", "channels without scale"),
        ({"scale": 0}, "dataset.scale", "scale 0.0, offset 0.0; expected a scale above 0"),
        ({"channels": []}, "dataset.channels", "channels []"),
        ({"channels": ["red", "red"]}, "dataset.channels", "channels ['red', 'red']; expected at least one band, each"),
        ({"channels": None}, "dataset.channels", "radiometry without channels"),
        ({"channels": None, "radiometry": None, "scale": None, "offset": -0.1}, "dataset.channels", "offset without"),
        ({"kind": "bijie"}, "dataset.channels", "channels for bijie; expected pairs"),
    ],
)
def test_channels_are_named_with_their_units_or_refused(
    tmp_path: Path, changes: dict[str, object], key: str, said: str
):
    with pytest.raises(InvalidConfigError, match=re.escape(f"key {key}: {said}")):
        config(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 1}, "data/image/p0.tif: values up to 3998, half of them below"),
        ({"scale": 0.0000001}, "data/image/p0.tif: values up to 0.00039"),
        ({"channels": NAMES[:4]}, "data/image/p0.tif: 5 bands; expected 4, one for each name of dataset.channels"),
        (
            {"channels": ["blue", "green", "red", "nir", "swir16"]},
            "data: no band nir08; expected blue, green, red, nir",
        ),
        ({"landslide": [1]}, "data/mask/p0.tif: mask values [255]; expected only [0, 1]"),
    ],
)
def test_files_that_are_not_what_the_configuration_says_end_with_exit_code_2(
    tmp_path: Path, changes: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
):
    write(tmp_path / "data", values())
    assert run_guarded(lambda: len(Prepared.of(finetune_job(config(tmp_path))).found) - 5) == 0
    assert run_guarded(lambda: len(Prepared.of(finetune_job(config(tmp_path, **changes))).found)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_mask_of_another_size_and_a_truncated_image_are_named(tmp_path: Path):
    write(tmp_path / "data", values())
    path = tmp_path / "data" / "mask" / "p1.tif"
    path.write_bytes(by_rasterio(np.zeros((1, 30, 20), "uint8")))
    with pytest.raises(InvalidDatasetError, match=r"mask/p1\.tif: the mask is 20 x 30 px; expected 30 x 20 px"):
        Prepared.of(finetune_job(config(tmp_path)))
    path = tmp_path / "data" / "image" / "p0.tif"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InvalidDatasetError, match=r"image/p0\.tif: strips or tiles that are not in the file"):
        Prepared.of(finetune_job(config(tmp_path)))


def test_images_and_masks_are_resized_to_squares_of_known_ground(tmp_path: Path):
    write(tmp_path / "data", values(), nodata=0)
    sample = Prepared.of(finetune_job(config(tmp_path, resize=16, resolution=10.0))).dataset.read("p0")
    assert (sample.image.shape, sample.label.shape) == ((2, 16, 16), (16, 16))
    assert sample.pixel_m2 == pytest.approx(100 * 600 / 256)
    assert set(np.unique(sample.label)) == {0, 1}


def test_pictures_too_have_named_channels_and_a_scale(tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    for folder, array in (("image", colours), ("mask", np.zeros(SIZE, np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    files = LocalFiles(root=str(tmp_path))
    infrared = Channels(names=("nir", "red", "green"), radiometry="rgb8", scale=1.0, offset=0.0)
    found = open_pairs(files, meaning=MEANING, bands=("green", "nir"), channels=infrared).read("a").image
    np.testing.assert_array_equal(found, colours[..., [2, 0]].transpose(2, 0, 1))
    grey = Channels(names=("pan",), radiometry="rgb8", scale=0.5, offset=1.0)
    Image.fromarray(colours[..., 0]).save(tmp_path / "image" / "a.png")
    found = open_pairs(files, meaning=MEANING, bands=("pan",), channels=grey).read("a").image
    np.testing.assert_array_equal(found[0], colours[..., 0] / 2 + 1)
    four = Channels(names=NAMES[:4], radiometry="rgb8", scale=1.0, offset=0.0)
    with pytest.raises(
        InvalidDatasetError, match=r"a\.png: mode L \(grey\); expected a TIFF of the bands in dataset\.channels"
    ):
        open_pairs(files, meaning=MEANING, bands=("blue",), channels=four).read("a")


def test_plain_pictures_give_any_of_their_colours(tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    for folder, array in (("image", colours), ("mask", np.zeros(SIZE, np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    model = LandslideNetSpec(bands=("blue", "red"))
    spec = DataSpec(kind="pairs", path=str(tmp_path))
    found = open_dataset(spec, model, InputSpec.for_bands("rgb8", model.bands)).read("a").image
    np.testing.assert_array_equal(found, colours[..., [2, 0]].transpose(2, 0, 1))
    model = LandslideNetSpec(bands=("red", "nir"))
    with pytest.raises(InvalidDatasetError, match=r"no band nir; expected red, green, blue\. A GeoTIFF of other bands"):
        open_dataset(spec, model, InputSpec.for_bands("rgb8", model.bands))


def test_what_a_run_records_of_older_settings_has_not_changed():
    assert set(DataSpec(kind="pairs", path="x", groups="images").settings) == {
        "kind", "path", "split", "resolution", "resize", "non_landslide", "background", "landslide", "ignore",
    }  # fmt: skip
    spec = DataSpec(kind="pairs", path="x", channels=("red",), radiometry="boa", scale=0.0001)
    assert spec.settings["channels"] == ("red",)
    assert spec.settings["scale"] == 0.0001
