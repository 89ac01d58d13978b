"""A file that is replaced at its address is another one, by what opening it shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from helpers.faultserver import FaultServer, fault_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landslide_scale.errors import TryAgainError
from landslide_scale.reading import marks
from landslide_scale.reading.geotiff import opened
from landslide_scale.reading.raster import write_cog
from landslide_scale.scene import Access

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIDE = 700
"""Of the file: two of its blocks of 512 along each side, so that there are four."""


def written(path: Path, values: NDArray[np.uint16]) -> Path:
    write_cog(path, values, epsg=32633, transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_100_000.0), nodata=0)
    return path


def mark(path: Path) -> str:
    marks.begin()
    with opened(str(path), Access()):
        pass
    return marks.seen(str(path))


def noise(seed: int) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(1, 9000, (SIDE, SIDE)).astype(np.uint16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marks")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, SIDE - 64), col=st.integers(0, SIDE - 64))
def test_other_pixels_anywhere_make_another_file(folder: Path, row: int, col: int):
    first, values = written(folder / "first.tif", noise(1)), noise(1)
    values[row : row + 64, col : col + 64] = 1234
    assert mark(written(folder / "second.tif", values)) != mark(first)


def test_a_copy_is_the_same_file_whenever_it_was_made(folder: Path):
    first = written(folder / "original.tif", noise(2))
    copy = Path(shutil.copy(first, folder / "copy.tif"))
    copy.touch()
    assert len(mark(first)) == 12
    assert mark(copy) == mark(first)


def test_what_changes_while_a_unit_is_read_has_no_mark_and_neither_has_what_was_not_opened(folder: Path):
    path = written(folder / "changing.tif", noise(3))
    first = mark(path)
    written(path, noise(4) // 9)
    second = mark(path)
    assert first != second
    marks.begin()
    for values in (noise(3), noise(4) // 9):
        written(path, values)
        with opened(str(path), Access()):
            pass
    with pytest.raises(TryAgainError, match="replaced while it was read"):
        marks.seen(str(path))
    assert marks.seen(str(folder / "other.tif")) == ""
    marks.begin()
    assert marks.seen(str(path)) == ""


def tiled(path: Path, values: NDArray[np.uint16]) -> Path:
    """Its blocks lie before what says where they lie, as in a file that was written in one go and is no COG."""
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    place = rasterio.transform.from_origin(500_000, 5_100_000, 10, 10)
    layout = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(path, "w", transform=place, **layout, **profile) as file:
        file.write(values, 1)
    return path


@pytest.mark.parametrize("make", [written, tiled])
def test_a_remote_file_is_asked_for_nothing_more_and_others_there_are_told_apart(
    folder: Path, make: Callable[[Path, NDArray[np.uint16]], Path], monkeypatch: pytest.MonkeyPatch
):
    """Nothing of one address is remembered under another."""
    with fault_server(FaultServer(folder=folder)) as server:

        def opening(name: str) -> tuple[str, int]:
            server.reset()
            marks.begin()
            with opened(f"{server.address}/{name}", Access()):
                pass
            return marks.seen(f"{server.address}/{name}"), len(server.asked)

        values = noise(5)
        values[300:364, 600:664] = 77
        for name, pixels in (("one.tif", noise(5)), ("two.tif", noise(5)), ("three.tif", values)):
            make(folder / name, pixels)
        one, requests = opening("one.tif")
        two, same = opening("two.tif")
        three, _ = opening("three.tif")
        assert one == two != three
        monkeypatch.setattr(marks, "note", lambda *_: None)
        make(folder / "four.tif", noise(5))
        assert opening("four.tif") == ("", requests)
        assert requests == same
