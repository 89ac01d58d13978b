"""What a GeoTIFF says beside its pixels: overviews in other files, and claims of the overviews inside it."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from helpers.hostile import BOX, LATTICE, NORTH, WEST, World
from helpers.scenes import cog
from helpers.webserver import Answer
from rasterio.enums import Resampling

from landslide_scale.errors import PermanentReadError
from landslide_scale.reading.raster import SAMPLE_SIDE, read_classes, read_numbers, read_sample
from landslide_scale.scene import Access

pytestmark = pytest.mark.hostile

SIDE, OWN, FOREIGN = 2100, 3000, 77
"""Of an image that is sampled from an overview."""


def named(path: Path, overviews: str, side: int = SIDE) -> str:
    """A file of `OWN` pixels that names its overviews elsewhere."""
    profile: dict[str, Any] = {"width": side, "height": side, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    profile |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH), "compress": "DEFLATE", "tiled": True}
    with rasterio.open(path, "w", driver="GTiff", **profile) as target:
        target.write(np.full((side, side), OWN, np.uint16), 1)
        target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=overviews)
    return str(path)


def foreign(path: Path) -> Path:
    return Path(cog(path, np.full((SIDE, SIDE), FOREIGN, np.uint16), west=WEST, north=NORTH))


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def inline(source: Path) -> str:
    band = f"<SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource>"
    return (
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}">'
        f'<VRTRasterBand dataType="UInt16" band="1">{band}</VRTRasterBand></VRTDataset>'
    )


OVERVIEWS: dict[str, Callable[[World], str]] = {
    "a file outside": lambda w: str(foreign(w.root.parent / "outside" / "secret.ovr")),
    "a file beside": lambda w: str(foreign(w.root / "beside.tif")),
    "a VRT": lambda w: inline(foreign(w.root.parent / "outside" / "secret.tif")),
    "a server": lambda w: f"/vsicurl/{w.canary.address}/red.tif",
    "an archive of a server": lambda w: f"/vsizip//vsicurl/{w.canary.address}/red.zip/red.tif",
    "a pipe": lambda w: str(pipe(w.root.parent / "pipe")),
    "a device": lambda _: "/dev/zero",
    "itself": lambda w: str(w.root / "named.tif"),
    "nothing": lambda _: "/nowhere.tif",
}

USES: dict[str, Callable[[str, Access], object]] = {
    "a sample": read_sample,
    "classes": lambda href, access: read_classes(href, LATTICE, BOX, access),
    "numbers": lambda href, access: read_numbers(href, LATTICE, BOX, access),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("name", OVERVIEWS)
def test_a_file_that_names_its_overviews_elsewhere_is_refused(world: World, name: str, use: str, *, remote: bool):
    path = named(world.root / "named.tif", OVERVIEWS[name](world))
    href = world.serve("/named.tif", Answer(content=Path(path).read_bytes())) if remote else path
    with pytest.raises(PermanentReadError, match="overviews in another file") as caught:
        USES[use](href, Access(hosts=("127.0.0.1",), named=("127.0.0.1",)))
    assert caught.value.where["file"] == href


def inside(path: Path, **options: str) -> str:
    """A file with an overview of its own; written by itself, for what GDAL may do with the overview alone."""
    profile: dict[str, Any] = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    profile |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH), "tiled": True, "compress": "DEFLATE"}
    with rasterio.open(path, "w", driver="GTiff", **profile) as target:
        target.write(np.arange(SIDE * SIDE, dtype=np.uint32).reshape(SIDE, SIDE) // 100, 1)
    with rasterio.Env(**options), rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4], Resampling.nearest)
    return str(path)


def test_the_good_overview_is_what_a_sample_is_of(tmp_path: Path):
    path = inside(tmp_path / "a.tif")
    with rasterio.open(path) as dataset:
        by_gdal = dataset.read(1, out_shape=(SAMPLE_SIDE, SAMPLE_SIDE))
    found = read_sample(path)
    assert found is not None
    assert found.shape == (SAMPLE_SIDE, SAMPLE_SIDE)
    assert np.array_equal(found, by_gdal)


def test_masks_between_overviews_are_passed_over(tmp_path: Path):
    path = tmp_path / "masked.tif"
    profile = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint8", "crs": "EPSG:32633", "tiled": True}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        transform = rasterio.Affine(10, 0, WEST, 0, -10, NORTH)
        with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile) as target:
            target.write(np.full((SIDE, SIDE), 4, np.uint8), 1)
            target.write_mask(np.ones((SIDE, SIDE), bool))
        with rasterio.open(path, "r+") as target:
            target.build_overviews([2, 4], Resampling.nearest)
    found = read_sample(str(path))
    assert found is not None
    assert set(np.unique(found)) == {4}


CLAIMS: dict[str, tuple[dict[str, str], str]] = {
    "a codec that is refused": ({"COMPRESS_OVERVIEW": "LZMA"}, "an overview of compression lzma"),
    "a lossy codec": ({"COMPRESS_OVERVIEW": "LERC"}, "an overview of compression lerc"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_an_overview_is_checked_as_the_main_image_is(tmp_path: Path, name: str):
    options, said = CLAIMS[name]
    path = inside(tmp_path / "a.tif", **options)
    with pytest.raises(PermanentReadError, match=said):
        read_sample(path)


def huge(path: Path) -> str:
    """Of 30 000 pixels square, its overview of 15 000 square one block that unpacks to 450 MB; sparse elsewhere."""
    side = 30_000
    profile: dict[str, Any] = {"width": side, "height": side, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    profile |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH), "tiled": True, "compress": "DEFLATE"}
    with rasterio.open(path, "w", driver="GTiff", SPARSE_OK=True, **profile):
        pass
    with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=4096), rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4, 8, 16, 32], Resampling.nearest)
    return str(path)


def with_block(path: str, side: int) -> str:
    """The same file, every overview of which claims to be one block of `side` pixels square."""
    content = bytearray(Path(path).read_bytes())
    for tag in (322, 323):
        for form in ("<HHIHH", "<HHII"):
            old = bytes(np.array([tag], "<u2")) + (
                bytes(np.array([3], "<u2")) + bytes(np.array([1], "<u4")) + bytes(np.array([4096, 0], "<u2"))
                if form == "<HHIHH"
                else bytes(np.array([4], "<u2")) + bytes(np.array([1], "<u4")) + bytes(np.array([4096], "<u4"))
            )
            new = bytes(np.array([tag, 4], "<u2")) + bytes(np.array([1, side], "<u4"))
            content = content.replace(old, new)
    Path(path).write_bytes(content)
    return path


@pytest.mark.slow
def test_an_overview_of_one_block_costs_nothing(tmp_path: Path):
    path = with_block(huge(tmp_path / "a.tif"), 30_000)
    tracemalloc.start()
    with pytest.raises(PermanentReadError, match="an overview of blocks of 30000 x 30000 pixels"):
        read_sample(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_a_pipe_in_an_allowed_folder_is_no_file(world: World):
    with pytest.raises(PermanentReadError, match="no file, but a pipe"):
        world.read(str(pipe(world.root / "pipe.tif")))


def test_files_beside_an_asset_add_no_overview_and_no_place(world: World):
    path = world.root / "red.tif"
    shutil.copy(named(world.root / "other.tif", "/nowhere"), f"{path}.ovr")
    (world.root / "red.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/nowhere</MDI></Metadata></PAMDataset>'
    )
    (world.root / "red.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    world.read(str(path))
    found = read_sample(str(path))
    assert found is not None
    assert found.max() == OWN
