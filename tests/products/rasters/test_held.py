"""A raster of an earlier export, read where another cube of its zone lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.rasters.cog import write_raster
from landslide_scale.products.rasters.held import read_held
from landslide_scale.products.scanned import Scanned


@pytest.fixture(scope="module")
def path(cube: Scanned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("held") / "observed_on.tif"
    write_raster(cube, next(iter(cube.extents)), 1, "observed_on", path)
    return path


def test_what_it_reaches_is_read_and_the_rest_is_fill(cube: Scanned, lattice: Lattice, path: Path):
    extent = cube.extents[lattice]
    corner = PixelBox(
        row_start=extent.row_start - 7, row_stop=extent.row_start + 5,
        col_start=extent.col_stop - 9, col_stop=extent.col_stop + 4,
    )  # fmt: skip
    found = read_held(path, lattice, corner, 65_535)
    common = corner.intersection(extent)
    assert common is not None
    wanted = np.full(corner.shape, 65_535, np.uint16)
    wanted[common.within(corner)] = cube.read_one(lattice, common, 1, "observed_on")
    np.testing.assert_array_equal(found, wanted)
    away = replace(corner, col_start=corner.col_start + 5000, col_stop=corner.col_stop + 5000)
    assert (read_held(path, lattice, away, 65_535) == 65_535).all()


def test_one_of_another_lattice_is_refused_and_one_that_is_none_said(lattice: Lattice, path: Path, tmp_path: Path):
    box = PixelBox(row_start=0, row_stop=1, col_start=0, col_stop=1)
    with pytest.raises(InvalidInputError, match="on the lattice of the cube"):
        read_held(path, replace(lattice, resolution=20), box, 0)
    (tmp_path / "none.tif").write_bytes(b"none")
    with pytest.raises(BrokenRunError, match="cannot be read"):
        read_held(tmp_path / "none.tif", lattice, box, 0)
