from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.cubes import created
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer, Slot, objects, read, read_one, stored, write
from landslide_scale.cube.record import content_hash
from landslide_scale.cube.reflectance import FILL, nothing, packed, unpacked
from landslide_scale.cube.settings import CubeConfig, GridConfig
from landslide_scale.cube.template import Template
from landslide_scale.errors import InvalidConfigError
from landslide_scale.grid import Block, Lattice, Zone
from landslide_scale.scene import Window, utc
from landslide_scale.strictyaml import parse

SIDE = 16
BANDS = ("nir", "red")
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)


@settings(max_examples=100)
@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-0.125, 7, width=32) | st.just(float("nan"))))
def test_reflectance_is_kept_to_half_a_step_and_beyond_its_ends_as_the_end(reflectance: NDArray[np.float32]):
    found = unpacked({"red": packed(reflectance)})["red"]
    assert found.dtype == np.float32
    assert np.array_equal(np.isnan(found), np.isnan(reflectance))
    seen = ~np.isnan(reflectance)
    assert np.allclose(found[seen], np.clip(reflectance[seen], -0.1, 6.4534), atol=0.000052)


@given(hnp.arrays(np.uint16, SHAPES), st.sampled_from([0, -1000]))
def test_what_a_product_says_is_kept_exactly(numbers: NDArray[np.uint16], offset: int):
    digital = np.minimum(numbers.astype(np.int64), 65_534 - (1000 + offset))
    reflectance = ((digital + offset) * 1e-4).astype(np.float32)
    assert np.array_equal(packed(reflectance), digital + offset + 1000)


def test_a_cube_holds_the_bands_beside_its_variables_and_hashes_them(tmp_path: Path):
    url = str(tmp_path / "cube.zarr")
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=SIDE)
    box = lattice.box(Block(row=-32_000, col=3200))
    window = Window(start=utc("2023-07-01"), end=utc("2023-08-01"))
    grid = GridConfig(block=SIDE, chunk=SIDE)
    created(url, Template(extents={lattice: box}, windows=(window,), grid=grid, sharded=True, bands=BANDS))
    slot = Slot(cube=url, lattice=lattice, extent=box, box=box, layer=0, bands=BANDS)

    def layer(**bands: NDArray[np.uint16]) -> Layer:
        of_byte = np.full((SIDE, SIDE), Reason.CLOUD, np.uint8)
        days = np.full((SIDE, SIDE), 19_571, np.uint16)
        return Layer(probability=of_byte, clear_count=of_byte, observed_on=days, reason=of_byte, bands=bands)

    empty = nothing(BANDS, (SIDE, SIDE))
    assert {*write(slot, layer(**empty))} == {"probability", "clear_count", "observed_on", "reason"}
    held = {band: np.full((SIDE, SIDE), number, np.uint16) for number, band in enumerate(BANDS, start=1000)}
    said = write(slot, layer(**held))
    for name, keys in objects(slot, SIDE).items():
        assert said[name] == stored({key: Path(url, key).read_bytes() for key in keys})
    assert [*said][-2:] == ["nir", "red"]
    assert all(np.array_equal(read_one(slot, band), held[band]) for band in BANDS)
    assert all(np.array_equal(read(slot).bands[band], held[band]) for band in BANDS)
    hashes = [content_hash(layer(**bands)) for bands in ({}, empty, held, {**held, "red": held["nir"]})]
    assert len(set(hashes)) == 4
    assert (empty["red"] == FILL).all()


@pytest.mark.parametrize("keep", [["red", "red"], ["elevation"], ["scl"]])
def test_what_is_no_band_of_a_scene_or_there_twice_is_not_kept(keep: list[str]):
    with pytest.raises(InvalidConfigError, match=r"output\.keep: .*each once, of coastal"):
        parse(CubeConfig, {"run": "runs/x", "keep": keep})
