"""Pictures of the report's map against the cube they are made of."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.cubes import GLOBE, Made, layer_of
from helpers.reported import HOW, run_of, square
from PIL import Image

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.errors import InvalidInputError
from landslide_scale.grid import Lattice, PixelBox, transformer
from landslide_scale.products.page import pictures
from landslide_scale.products.page.chips import SIDE, chip
from landslide_scale.products.page.colours import COVERAGE, PROBABILITY, REASONS, Palette, legend, over_ground
from landslide_scale.products.page.frame import Frame
from landslide_scale.products.page.frame import shown as shown_ground
from landslide_scale.products.page.layers import pictured
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scan.plan import Place

TAVEUNI = shapely.MultiPolygon(
    [shapely.box(179.992, -16.81, 180.0, -16.8), shapely.box(-180.0, -16.81, -179.992, -16.8)]
)


def decoded(address: str) -> np.ndarray[Any, Any]:
    """(H, W, 4) uint8."""
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))


def pixels(frame: Frame, lattice: Lattice, box: PixelBox) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows and columns of a frame at the centres of a box's pixels, by the bounds that the page is told."""
    x, y = np.meshgrid(*lattice.centres(box))
    longitude, latitude = transformer(lattice.zone.epsg, 4326).transform(x, y)
    west, south, east, north = frame.bounds
    longitude = west + (longitude - west) % 360
    height = [np.arctanh(np.sin(np.radians(one))) for one in (latitude, south, north)]
    cols = np.floor((longitude - west) / (east - west) * frame.shape[1])
    rows = np.floor((height[2] - height[0]) / (height[2] - height[1]) * frame.shape[0])
    return rows.astype(int), cols.astype(int)


def seen_in(palette: Palette) -> np.ndarray[Any, Any]:
    """(256, 4) uint8, what a picture shows of each index; nothing where it is clear."""
    found = np.full((256, 4), 255, np.uint8)
    found[: len(palette.colours), :3] = palette.colours
    found[: len(palette.alphas), 3] = palette.alphas
    return np.where(found[:, 3:] > 0, found, 0)


def held(of: Scanned, layer: int) -> Iterator[tuple[Lattice, PixelBox, Any]]:
    for place in of.done:
        if place.layer == layer:
            yield place.lattice, place.box, of.read(place.lattice, place.box, layer)


def test_a_picture_has_the_colour_of_the_cube_at_every_pixel_of_two_zones(scan: Scanned):
    for number, layer in enumerate(pictured(scan).layers):
        shown = decoded(layer.picture.address)
        palette, name = ((COVERAGE, "reason"), (over_ground(scan.threshold), "probability"))[number % 2]
        colours, agree, seen = seen_in(palette), 0, 0
        for lattice, box, read in held(scan, number // 2):
            inside = read.reason != Reason.NOT_SCANNED
            rows, cols = (one[inside] for one in pixels(layer.picture.frame, lattice, box))
            index = palette.indexes[getattr(read, name)[inside]]
            expected = colours[index]
            found = shown[rows, cols]
            found = np.where(found[:, 3:] > 0, found, 0)
            agree, seen = agree + (found == expected).all(axis=1).sum(), seen + len(index)
        assert seen > 15_000
        assert agree / seen > 0.995  # the warp itself is right to an eighth of a pixel


@pytest.mark.parametrize("threshold", [0.004, 0.3, 0.5, 0.9, 0.9999])
def test_probability_is_clear_up_to_half_of_the_threshold_and_opaque_from_it_on(threshold: float):
    palette = over_ground(threshold)
    probability = np.arange(251) * 0.004
    shown = seen_in(palette)[palette.indexes[:251]]
    assert (shown[probability <= threshold / 2] == 0).all()
    assert (shown[probability > threshold / 2 + 0.004, 3] > 0).all()
    assert (shown[probability >= threshold, 3] == 255).all()
    assert (np.diff(shown[:, 3].astype(int)) >= 0).all()
    assert palette.indexes[255] == 0


def test_the_bounds_are_the_regions_to_a_pixel(scan: Scanned):
    frame = pictures.scale(scan).frame
    west, south, east, north = frame.bounds
    pixel = (east - west) / frame.shape[1]
    assert pixel * 111_320 * np.cos(np.radians(43)) == pytest.approx(10, rel=0.1)
    beyond = np.array([17.99 - west, 42.995 - south, east - 18.01, north - 43.005])
    assert (beyond > 0).all()
    assert (beyond < 2.5 * pixel).all()  # one of the cube's pixels around, and less than one at the far ends


def test_of_a_region_that_goes_further_the_ground_of_the_cube_is_shown(scan: Scanned):
    lattice, box = square(scan, 0)
    for region in (GLOBE, HOW.region):
        ground = shown_ground(region, [(lattice, box)])
        assert ground.bounds == pytest.approx(lattice.outline(box).bounds, abs=1e-9)


def test_ground_over_the_antimeridian_is_whole_on_one_side(tmp_path: Path):
    of = scanned(run_of(tmp_path / "scan", Made(block=64, chunk=64, region=TAVEUNI)))
    assert {lattice.zone.epsg for lattice in of.extents} == {32701, 32760}
    layer = pictured(of).layers[1]
    west, _, east, _ = layer.picture.frame.bounds
    assert (west, east) == pytest.approx((179.992, 180.008), abs=2e-4)
    shown, agree = decoded(layer.picture.address), {32701: [], 32760: []}
    for lattice, box, read in held(of, 0):
        inside = (read.probability != 255) & (read.probability > 250 * of.threshold / 2)
        rows, cols = (one[inside] for one in pixels(layer.picture.frame, lattice, box))
        expected = np.array(PROBABILITY.colours)[PROBABILITY.indexes[read.probability[inside]]]
        agree[lattice.zone.epsg] += (shown[rows, cols, :3] == expected).all(axis=1).tolist()
    assert {zone: len(found) > 5000 and np.mean(found) > 0.99 for zone, found in agree.items()} == dict.fromkeys(
        agree, True
    )


@pytest.mark.parametrize("side", [200, 50, 10])
def test_a_single_pixel_is_not_lost_in_a_picture_however_coarse(
    side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pictures, "LARGEST_SIDE", side)

    def sparse(place: Place) -> Layer:
        rng = np.random.default_rng([place.block.row % 1000, place.block.col])
        return layer_of(np.where(rng.random(place.box.shape) < 0.01, rng.uniform(0.5, 1, place.box.shape), 0.1))

    of = scanned(run_of(tmp_path / "scan", Made(block=64, chunk=64, region=HOW.region), sparse))
    at = pictures.scale(of)
    assert max(at.frame.shape) <= side < 2 * max(at.frame.shape) * 1.1
    drawn = pictures.drawn(of, 0, at, over_ground(of.threshold)).probability
    around = np.pad(drawn, 1)
    near = np.max([around[a : a + drawn.shape[0], b : b + drawn.shape[1]] for a in range(3) for b in range(3)], axis=0)
    for lattice, box, read in held(of, 0):
        marked = (read.probability > 100) & (read.probability != 255)
        rows, cols = (
            np.clip(one[marked], 0, size - 1)
            for one, size in zip(pixels(at.frame, lattice, box), drawn.shape, strict=True)
        )
        assert (near[rows, cols] >= PROBABILITY.indexes[read.probability[marked]]).all()


def test_what_is_not_observed_is_kept_in_a_coarse_picture():
    assert REASONS[0].reason == Reason.OBSERVED
    assert {shown.reason for shown in REASONS} == set(Reason) - {Reason.NOT_SCANNED}
    assert COVERAGE.indexes[Reason.NOT_SCANNED] == 0
    assert legend([Reason.CLOUD, Reason.NOT_SCANNED]) == [("#56b4e9", "cloud")]


def test_pictures_that_are_too_many_bytes_are_made_coarser_and_say_so(scan: Scanned, monkeypatch: pytest.MonkeyPatch):
    fine = pictured(scan)
    assert (fine.metres, fine.coarser_than) == (10, None)
    monkeypatch.setattr(pictures, "LARGEST_BYTES", 9000)
    coarse = pictured(scan)
    assert sum(len(layer.picture.address) for layer in coarse.layers) <= 9000
    assert coarse.coarser_than == 10
    assert coarse.metres in {40, 80, 160}
    assert "cog/EPSG_32634/20230701_20230801/probability.tif" in coarse.full
    before, after = fine.layers[1].picture.frame.bounds, coarse.layers[1].picture.frame.bounds
    assert (before[0], before[3]) == (after[0], after[3])
    shown = decoded(coarse.layers[1].picture.address)
    assert shown.shape[:2] == coarse.layers[1].picture.frame.shape


def test_ground_by_reason_is_counted_on_the_cubes_own_pixels(scan: Scanned):
    found = pictured(scan).km2
    for layer, km2 in enumerate(found):
        reasons = np.concatenate([read.reason.ravel() for _, _, read in held(scan, layer)])
        assert km2[Reason.CLOUD] == pytest.approx((reasons == Reason.CLOUD).sum() * 1e-4)
        records = [scan.records[place.id] for place in scan.done if place.layer == layer]
        assert km2[Reason.OBSERVED] == pytest.approx(sum(one.km2 * one.clear_fraction for one in records))


def test_a_chip_shows_the_pixels_around_a_landslide(scan: Scanned, rows: list[dict[str, Any]]):
    shown = decoded(chip(scan, rows[0]["geometry"], 1))
    assert shown.shape == (SIDE, SIDE, 4)
    lattice, box = square(scan, 0)
    box = box.pad(10)  # each pixel is four of the chip's
    index = PROBABILITY.indexes[scan.read(lattice, box, 1).probability]
    agree = (shown[2::4, 2::4, :3] == np.array(PROBABILITY.colours)[index]).all(axis=2)
    assert agree[index > 0].mean() > 0.95  # all but what is under the outline
    assert (shown[2::4, 2::4, 3][index == 0] == 0).all()
    assert (shown[38:42, 42:54, :3] == 255).all(axis=2).any(axis=0).all()  # the outline, along its upper side
    assert chip(scan, shapely.Point(100, 10).buffer(0.01), 1) == ""


def test_the_composite_is_a_layer_where_the_cube_keeps_it(scan: Scanned, monkeypatch: pytest.MonkeyPatch):
    def reflectance(_: Scanned, __: Lattice, box: PixelBox, ___: int) -> dict[str, Any]:
        bands = {"red": np.full(box.shape, 0.3), "green": np.zeros(box.shape), "blue": np.full(box.shape, 0.0625)}
        bands["red"][0] = np.nan
        return bands

    monkeypatch.setattr(Scanned, "read_reflectance", reflectance)
    kept = replace(scan, laid=replace(scan.laid, bands=("red", "green", "blue", "nir")))
    layers = pictured(kept).layers
    assert [layer.name for layer in layers[:3]] == ["reason and coverage", "composite", "probability"]
    shown = decoded(layers[1].picture.address)
    lattice, box = square(scan, 0)
    rows, cols = pixels(layers[1].picture.frame, lattice, box)
    assert (np.abs(shown[rows, cols].astype(int) - (255, 1, 104, 255)) <= 4).all()
    assert (shown[..., 3] == 0).any()
    false = replace(scan, laid=replace(scan.laid, bands=("nir", "red", "green")))
    monkeypatch.setattr(Scanned, "read_reflectance", lambda *at: {**reflectance(*at), "nir": np.full(at[2].shape, 0.5)})
    layers = pictured(false).layers
    assert layers[1].name == "composite in false colour"
    assert (np.abs(decoded(layers[1].picture.address)[rows, cols].astype(int) - (255, 255, 1, 255)) <= 4).all()
    assert "composite" not in {layer.name for layer in pictured(scan).layers}


def test_ground_that_the_map_cannot_show_is_refused(tmp_path: Path):
    region = shapely.box(20.9, 85.2, 20.95, 85.205)
    of = scanned(run_of(tmp_path / "scan", Made(block=64, chunk=64, region=region)))
    with pytest.raises(InvalidInputError, match=r"85\.2.* expected at most 85\.05"):
        pictured(of)
