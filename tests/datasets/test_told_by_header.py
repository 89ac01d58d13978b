"""A file that is no picture of the kind wanted is refused by what its header says, without addresses of objects."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image

from landslide_scale.datasets import LocalFiles
from landslide_scale.datasets.pairs import open_pairs
from landslide_scale.errors import InvalidDatasetError, LandslideScaleError

SIZE = (20, 30)
COLOURS = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
BANDS = COLOURS.transpose(2, 0, 1)
NAMED = "A GeoTIFF of other bands or types is read where dataset.channels names its bands."


def tiff(array: np.ndarray, **options: object) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, array, **{"photometric": "minisblack", **options})
    return content.getvalue()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def gdal(band: np.ndarray, **options: object) -> bytes:
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="PNG", width=SIZE[1], height=SIZE[0], count=1, dtype="uint8", **options) as file:
            file.write(band[None])
        return bytes(memory.read())


def pair(root: Path, image: bytes, mask: bytes, suffix: str = ".tif") -> LocalFiles:
    for folder, content in (("image", image), ("mask", mask)):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / f"a{suffix}").write_bytes(content)
    return LocalFiles(root=str(root))


RGB = Image.fromarray(COLOURS)
NOTHING = saved(Image.new("L", SIZE[::-1]), "PNG")

IMAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "four bands of 16 bits": (
        lambda: tiff(np.zeros((4, *SIZE), "uint16"), planarconfig="separate"),
        f"a TIFF of 4 bands of uint16 (MINISBLACK); expected an 8-bit RGB image. {NAMED}",
    ),
    "floats": (
        lambda: tiff(BANDS.astype("float32"), planarconfig="separate"),
        f"a TIFF of 3 bands of float32 (MINISBLACK); expected an 8-bit RGB image. {NAMED}",
    ),
    "no colours": (lambda: tiff(BANDS, planarconfig="separate"), "a TIFF of 3 bands of uint8 (MINISBLACK); expected"),
    "BigTIFF": (
        lambda: tiff(BANDS.astype("uint16"), planarconfig="separate", bigtiff=True, tile=(16, 16)),
        "a TIFF of 3 bands of uint16 (MINISBLACK); expected",
    ),
    "doubles in one band": (lambda: tiff(BANDS[0].astype("float64")), "a TIFF of 1 band of float64 (MINISBLACK)"),
    "a palette": (lambda: saved(RGB.quantize(8), "TIFF"), "a TIFF of 1 band of uint8 (PALETTE); expected an 8-bit RGB"),
    "a page for each band": (lambda: tiff(BANDS), "3 images in one file; expected one image of all bands"),
    "inks": (lambda: saved(RGB.convert("CMYK"), "JPEG"), "mode CMYK (inks); expected an 8-bit RGB image. Convert it"),
    "PNG of a palette": (lambda: saved(RGB.quantize(8), "PNG"), "mode P (a palette); expected an 8-bit RGB image"),
    "16-bit grey PNG": (
        lambda: saved(Image.fromarray(COLOURS[..., 0].astype("uint16")), "PNG"),
        "mode I;16 (16-bit grey); expected",
    ),
    "WebP": (lambda: saved(RGB, "WEBP"), "a WebP; expected an 8-bit RGB image, as PNG or TIFF or JPEG"),
    "GIF": (lambda: saved(RGB, "GIF"), "a GIF; expected"),
    "JPEG 2000": (lambda: saved(RGB, "JPEG2000"), "a JPEG 2000; expected an 8-bit RGB image, as PNG or TIFF or JPEG."),
    "animation": (
        lambda: saved(RGB, "PNG", save_all=True, append_images=[Image.new("RGB", SIZE[::-1])]),
        "an animation, of which the first picture would be read",
    ),
    "nothing": (lambda: b"", "an empty file; expected"),
    "a web page": (lambda: b"\n<!DOCTYPE html><html>", "a web page or XML in place of the file; expected"),
    "a pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer in place of the file"),
    "half": (lambda: saved(RGB, "PNG")[:-300], "cannot be decoded"),
    "half a TIFF": (lambda: tiff(COLOURS, photometric="rgb")[:200], "cannot be decoded"),
}  # fmt: skip


def refusal(files: LocalFiles) -> str:
    with pytest.raises(InvalidDatasetError) as caught:
        open_pairs(files, meaning={0: 0, 255: 1}).read("a")
    said = str(caught.value)
    assert "\n" not in said
    assert "0x" not in said
    return said


@pytest.mark.parametrize("case", IMAGES)
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_an_image_is_refused_by_its_header_whatever_it_is_called(case: str, suffix: str, tmp_path: Path):
    make, said = IMAGES[case]
    assert f"image/a{suffix}: {said}" in refusal(pair(tmp_path, make(), NOTHING, suffix))


@pytest.mark.parametrize(
    "content",
    [
        saved(RGB, "PNG"),
        saved(RGB, "TIFF", compression="tiff_lzw"),
        saved(RGB, "TIFF", compression="zstd"),
        tiff(COLOURS, photometric="rgb", bigtiff=True),
        tiff(BANDS, photometric="rgb", planarconfig="separate", tile=(16, 16)),
    ],
)
def test_colours_of_8_bits_are_read_however_they_are_packed_and_called(content: bytes, tmp_path: Path):
    found = open_pairs(pair(tmp_path, content, NOTHING, ".png"), meaning={0: 0}).read("a").image
    np.testing.assert_array_equal(found, BANDS.astype(np.float32))


def bits(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values > 0)


LABEL = np.zeros(SIZE, np.uint8)
LABEL[:5] = 1

MASKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "JPEG": (lambda: saved(Image.fromarray(LABEL), "JPEG"), "a JPEG; expected a mask of one channel, as PNG or TIFF"),
    "colours": (
        lambda: saved(RGB, "PNG"),
        "mode RGB (colours); expected a mask of one channel. Convert it to a mask of one channel.",
    ),
    "transparency": (lambda: saved(RGB.convert("LA"), "PNG"), "mode LA (grey with transparency); expected a mask"),
    "doubles": (lambda: tiff(LABEL.astype("float64")), "a TIFF of 1 band of float64 (MINISBLACK); expected a mask"),
    "two pages": (lambda: tiff(np.stack([LABEL, LABEL])), "2 images in one file"),
    "two bits": (
        lambda: gdal(LABEL, nbits=2),
        "2 bits per value, which would be stretched to 8; expected a mask of one channel",
    ),
    "a web page": (lambda: b"<html>", "a web page or XML in place of the file; expected a mask of one channel"),
}


@pytest.mark.parametrize("case", MASKS)
def test_a_mask_is_refused_by_its_header(case: str, tmp_path: Path):
    make, said = MASKS[case]
    assert f"mask/a.png: {said}" in refusal(pair(tmp_path, saved(RGB, "PNG"), make(), ".png"))


@pytest.mark.parametrize(
    "content",
    [
        saved(Image.fromarray(LABEL), "PNG"),
        saved(bits(LABEL), "PNG"),
        saved(bits(LABEL), "TIFF"),
        saved(bits(LABEL), "TIFF", compression="group4"),
        tiff(LABEL > 0),
        tiff(LABEL.astype("uint16"), bigtiff=True),
        tiff(LABEL.astype("int32"), compression="deflate"),
    ],
)
def test_a_mask_of_one_bit_or_of_whole_numbers_is_read_as_stored(content: bytes, tmp_path: Path):
    label = open_pairs(pair(tmp_path, saved(RGB, "PNG"), content), meaning={0: 0, 1: 1}).read("a").label
    np.testing.assert_array_equal(label, LABEL)


def test_no_error_says_where_an_object_lies():
    text = str(LandslideScaleError("cannot identify <_io.BytesIO object at 0x7f4afc1ac950>", expected=repr(object())))
    assert text == "cannot identify <_io.BytesIO>; expected <object>"


@pytest.mark.filterwarnings(
    "ignore:(Tag data larger|Metadata Warning|Truncated File Read):UserWarning"
)  # of what is damaged
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(kind: str, tmp_path: Path):
    content, rng = saved(RGB, kind), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(content[: rng.integers(4, len(content) + 1)] if rng.random() < 0.3 else content)
        for _ in range(rng.integers(1, 5)):
            damaged[rng.integers(0, min(len(damaged), 400))] = rng.integers(256)
        files = pair(tmp_path, bytes(damaged), NOTHING)
        with suppress(InvalidDatasetError):  # anything else fails the test
            assert len(open_pairs(files, meaning={0: 0}).read("a").image) == 3
