"""Exclusion and advisory pixel by pixel, against the rule worked out pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cubes import AFTER, BEFORE, SCENE, Made, from_arrays, layer_of, made
from helpers.scenes import item

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.bits import Advisory, Exclusion
from landslide_scale.products.flags import ADVISORY, EXCLUSION, FLAGS, flags
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.plan import Place
from landslide_scale.stac.frozen import freeze

HOW = Made(windows=(BEFORE, AFTER))
LATTICE = HOW.lattice(33)
BOX = PixelBox(row_start=-510_000, row_stop=-509_936, col_start=48_000, col_stop=48_064)
UNSEEN = 255


def cube(folder: Path, how: Made, *, failed: int = 0, **held: Any) -> Scanned:  # noqa: ANN401 of layer_of
    """Of two windows, in the first of which all was seen and there is nothing to say; some of its units failed."""
    probability = np.full(BOX.shape, 0.1, np.float32)
    first = layer_of(probability)
    probability[40:44, 40:48] = np.nan
    layer = layer_of(probability, **held)
    layer.reason[13, 33] = Reason.SNOW
    layers = (first, layer)

    places = how.places({LATTICE: BOX})
    gone = [place for place in places if place.layer == 0][:failed]

    def paint(place: Place) -> Layer | None:
        return None if place in gone else from_arrays({LATTICE: (BOX, layers[place.layer])})(place)

    return scanned(made(folder, places, paint, how))


def read(of: Scanned, name: str, layer: int = 1, box: PixelBox = BOX) -> np.ndarray[Any, Any]:
    (plane,) = (one for one in flags(of, layer) if one.name == name)
    assert plane.layer == layer
    found = plane.read(LATTICE, box)
    assert (found.shape, found.dtype) == (box.shape, np.uint8)
    assert set(np.unique(found)) <= {*plane.classes, plane.variable.fill}
    return found


def test_snow_counts_to_200_m_over_blocks_and_what_was_not_seen_has_no_bits(tmp_path: Path):
    of = cube(tmp_path / "run", HOW)
    rows, cols = np.mgrid[:64, :64]
    near = np.hypot(rows - 13, cols - 33) <= 20
    expected = np.where(near, int(Exclusion.SNOW_NEAR), 0)
    expected[40:44, 40:48] = UNSEEN
    expected[13, 33] = UNSEEN
    np.testing.assert_array_equal(read(of, EXCLUSION), expected)
    part = PixelBox(
        row_start=BOX.row_start + 9, row_stop=BOX.row_start + 50, col_start=BOX.col_start + 20, col_stop=BOX.col_stop
    )
    np.testing.assert_array_equal(read(of, EXCLUSION, box=part), expected[part.within(BOX)])
    assert not read(of, EXCLUSION, layer=0).any()


def test_what_looks_like_water_is_told_where_the_cube_keeps_the_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def seen(_: Scanned, __: Lattice, box: PixelBox, ___: int) -> dict[str, Any]:
        green = np.zeros(BOX.shape)
        green[:2] = 0.2
        return {"green": green[box.within(BOX)], "nir": np.full(box.shape, 0.1)}

    monkeypatch.setattr(Scanned, "read_reflectance", seen)
    of = cube(tmp_path / "run", HOW)
    assert not (read(of, EXCLUSION) == Exclusion.WATER).any()
    found = read(replace(of, laid=replace(of.laid, bands=("green", "nir"))), EXCLUSION)
    assert (found[:2] & Exclusion.WATER).all()
    assert found[0, 33] == Exclusion.WATER | Exclusion.SNOW_NEAR
    assert not (found[2:][found[2:] != UNSEEN] & Exclusion.WATER).any()


def test_advice_is_of_looks_by_pixel_and_of_scenes_by_block(tmp_path: Path):
    looks = np.full(BOX.shape, 3, np.uint8)
    looks[:, :10] = 1
    looks[:, 10:20] = 2
    doubted = {"id": "S2A_DOUBTED", "rule": "baseline 05.09; pixels inconclusive (3 pixels)"}
    assert not read(cube(tmp_path / "sure", HOW, looks=looks), ADVISORY, layer=0).any()
    of = cube(tmp_path / "run", replace(HOW, scenes=(SCENE, doubted)), failed=1, looks=looks)
    found = read(of, ADVISORY)
    seen = found != UNSEEN
    assert (~seen).sum() == 4 * 8 + 1
    expected = np.where(looks == 1, Advisory.ONE_LOOK | Advisory.OFFSET_INCONCLUSIVE, Advisory.OFFSET_INCONCLUSIVE)
    np.testing.assert_array_equal(found[seen], expected[seen])


def test_a_low_sun_is_told_by_the_scene_that_says_so(tmp_path: Path):
    of = cube(tmp_path / "run", HOW)
    scene = item(SCENE["id"])
    freeze(of.run, [scene | {"properties": scene["properties"] | {"view:sun_elevation": 12.0}}])
    found = read(of, ADVISORY)
    assert set(np.unique(found)) == {int(Advisory.LOW_SUN), UNSEEN}


def test_both_are_named_and_every_sum_of_bits_has_its_words(tmp_path: Path):
    them = flags(cube(tmp_path / "run", HOW), 1)
    assert tuple(one.name for one in them) == FLAGS
    for one in them:
        masks = one.variable.attributes["flag_masks"]
        assert [*one.classes] == [*range(sum(masks) + 1)]
        assert len({shown.colour for shown in one.classes.values()}) == len(one.classes)
        assert one.classes[sum(masks)].words.count(",") == len(masks) - 1
