"""What a picture's file declares as no data is NaN on every way of reading, or the file is refused with the cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image

from landslide_scale.datasets import LocalFiles
from landslide_scale.datasets.images import Channels
from landslide_scale.datasets.pairs import open_pairs
from landslide_scale.errors import InvalidDatasetError

SIDE, BORDER = 32, 4
COLOURS = np.random.default_rng(0).integers(1, 256, (3, SIDE, SIDE), dtype=np.uint8)
COLOURS[:, :BORDER] = 0
OPAQUE = np.full((SIDE, SIDE), 255, np.uint8)
OPAQUE[:BORDER] = 0
NAMED = Channels(names=("red", "green", "blue"), radiometry="rgb8", scale=1.0, offset=0.0)


def geotiff(path: Path, array: np.ndarray = COLOURS, **options: object) -> None:
    count, height, width = array.shape
    options = {"photometric": "RGB"} | options if path.suffix == ".tif" and count > 1 else options
    driver = "GTiff" if path.suffix == ".tif" else "PNG" if path.suffix == ".png" else "JPEG"
    with rasterio.open(
        path, "w", driver, width, height, count, "EPSG:32633", rasterio.Affine(10, 0, 5e5, 0, -10, 51e5), array.dtype,
        **options,
    ) as file:  # fmt: skip
        file.write(array)


def masked(path: Path, *, internal: bool) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        geotiff(path)
        with rasterio.open(path, "r+") as file:
            file.write_mask(OPAQUE > 0)


def picture(path: Path, array: np.ndarray, **options: object) -> None:
    Image.fromarray(array.transpose(1, 2, 0) if array.ndim == 3 else array).save(path, **options)


def stated(path: Path) -> None:
    geotiff(path)
    path.with_name(f"{path.name}.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>"
    )


def folder(root: Path, name: str, make: Callable[[Path], object]) -> LocalFiles:
    for part in ("image", "mask"):
        (root / part).mkdir(exist_ok=True)
    make(root / "image" / name)
    if not list((root / "mask").iterdir()):
        Image.new("L", (SIDE, SIDE)).save(root / "mask" / "a.png")
    return LocalFiles(root=str(root))


HEEDED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "GDAL_NODATA": ("a.tif", lambda path: geotiff(path, nodata=0)),
    "GDAL_NODATA by band": ("a.tif", lambda path: geotiff(path, nodata=0, interleave="band")),
    "tiles of DEFLATE": (
        "a.tif",
        lambda path: geotiff(path, nodata=0, tiled=True, blockxsize=16, blockysize=16, compress="deflate"),
    ),
    "a band of transparency": ("a.tif", lambda path: geotiff(path, np.stack([*COLOURS, OPAQUE]), alpha="yes")),
    "tRNS": ("a.png", lambda path: picture(path, COLOURS, transparency=(0, 0, 0))),
    "tRNS by GDAL": ("a.png", lambda path: geotiff(path, nodata=0)),
    "RGBA": ("a.png", lambda path: picture(path, np.stack([*COLOURS, OPAQUE]))),
}


@pytest.mark.parametrize("channels", [None, NAMED])
@pytest.mark.parametrize("case", HEEDED)
@pytest.mark.parametrize("resize", [None, 16])
def test_what_a_file_declares_as_no_data_is_nan_with_and_without_channels(
    case: str, channels: Channels | None, resize: int | None, tmp_path: Path
):
    files = folder(tmp_path, *HEEDED[case])
    image = open_pairs(files, meaning={0: 0}, channels=channels, resize=resize).read("a").image
    border = BORDER if resize is None else BORDER // 2
    assert np.isnan(image[:, :border]).all()
    assert not np.isnan(image[:, border:]).any()
    if resize is None:
        np.testing.assert_array_equal(image[:, border:], COLOURS[:, border:].astype(np.float32))
    else:
        assert image[:, border:].min() > 20  # no black of the border is mixed into it


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a mask inside": ("a.tif", lambda path: masked(path, internal=True), "a mask inside the file; expected no data as"),
    "a mask beside it": ("a.tif", lambda path: masked(path, internal=False), "declared beside it, in a.tif.msk"),
    "a value beside it": ("a.tif", stated, "no data that is declared beside it, in a.tif.aux.xml"),
    "a mask behind a JPEG": ("a.jpg", lambda path: masked(path, internal=True), "a mask inside the file"),
    "no number": ("a.tif", lambda path: (geotiff(path, nodata=0), renamed(path)), "GDAL_NODATA '?"),
}  # fmt: skip


def renamed(path: Path) -> None:
    content = path.read_bytes()
    place = content.index((42113).to_bytes(2, "little") + b"\2\0")
    path.write_bytes(content[: place + 8] + b"? \0\0" + content[place + 12 :])


@pytest.mark.parametrize("channels", [None, NAMED])
@pytest.mark.parametrize("case", REFUSED)
def test_no_data_that_would_not_be_seen_is_refused_with_and_without_channels(
    case: str, channels: Channels | None, tmp_path: Path
):
    name, make, said = REFUSED[case]
    files = folder(tmp_path, name, make)
    with pytest.raises(InvalidDatasetError, match=rf"image/a\.(tif|jpg): .*{re.escape(said)}"):
        open_pairs(files, meaning={0: 0}, channels=channels).read("a")


@pytest.mark.parametrize("nodata", ["-9999", "nan", "-1.7976931348623157e+308"])
@pytest.mark.parametrize("channels", [None, NAMED])
def test_a_value_that_is_not_there_takes_nothing(nodata: str, channels: Channels | None, tmp_path: Path):
    def write(path: Path) -> None:
        tags = [(42113, "s", 0, nodata, True)]
        tifffile.imwrite(path, COLOURS.transpose(1, 2, 0), photometric="rgb", extratags=tags)

    files = folder(tmp_path, "a.tif", write)
    assert not np.isnan(open_pairs(files, meaning={0: 0}, channels=channels).read("a").image).any()


def test_facts_beside_a_file_that_declare_no_data_nowhere_change_nothing(tmp_path: Path):
    files = folder(tmp_path, "a.tif", geotiff)
    (tmp_path / "image" / "a.tif.aux.xml").write_text("<PAMDataset><PAMRasterBand band='1'/></PAMDataset>")
    assert not np.isnan(open_pairs(files, meaning={0: 0}).read("a").image).any()


def test_grey_has_transparency_and_no_data_too(tmp_path: Path):
    grey = Channels(names=("red",), radiometry="rgb8", scale=1.0, offset=0.0)
    band = COLOURS[0]
    makers: tuple[Callable[[Path], object], ...] = (
        lambda path: picture(path, np.stack([band, OPAQUE])),
        lambda path: picture(path, band, transparency=0),
        lambda path: geotiff(path, band[None], nodata=0),
    )
    for name, make in zip(("a.png", "a.png", "a.tif"), makers, strict=True):
        files = folder(tmp_path, name, make)
        image = open_pairs(files, meaning={0: 0}, bands=("red",), channels=grey).read("a").image
        np.testing.assert_array_equal(np.isnan(image[0]), OPAQUE == 0)
        (tmp_path / "image" / name).unlink()


def test_a_value_of_a_mask_means_what_the_configuration_says_and_a_mask_of_it_is_refused(tmp_path: Path):
    files = folder(tmp_path, "a.png", lambda path: picture(path, COLOURS))
    (tmp_path / "mask" / "a.png").unlink()
    geotiff(tmp_path / "mask" / "a.tif", OPAQUE[None], nodata=0)
    assert int(open_pairs(files, meaning={0: 0, 255: 1}).read("a").label.sum()) == SIDE * (SIDE - BORDER)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(tmp_path / "mask" / "a.tif", "r+") as file:
        file.nodata = None
        file.write_mask(OPAQUE > 0)
    with pytest.raises(InvalidDatasetError, match=r"mask/a\.tif: a mask inside the file"):
        open_pairs(files, meaning={0: 0, 255: 1}).read("a")
