"""Rules of a mask beside the scene classes, against NumPy at the pixels that decide."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.parts import drawn_part
from helpers.scenes import cog, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.ndimage import distance_transform_edt, gaussian_filter

from landslide_scale.bands import Reason
from landslide_scale.errors import PermanentReadError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery import mask
from landslide_scale.imagery.composite import Image
from landslide_scale.imagery.observe import BYTES_PER_PIXEL, observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scene import Scene
from landslide_scale.strictyaml import parse

WEST, NORTH, SIDE = 499_980, 5_200_020, 1440
BANDS = ("blue",)
OF_CLASS = np.array([7, 6, 3, 2, 0, 0, 0, 5, 1, 1, 1, 4], np.uint8)


def lattice(resolution: int) -> Lattice:
    return Lattice(zone=Zone.utm(33, southern=False), resolution=resolution, block=64)


def around(of: Lattice, metres: int = 240) -> PixelBox:
    return of.box_covering((WEST - metres, NORTH - SIDE - metres, WEST + SIDE + metres, NORTH + metres))


def smooth(seed: int, side: int) -> NDArray[np.float64]:
    """0 to 1, in patches."""
    rough = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 2)
    return (rough - rough.min()) / np.ptp(rough)


def classes(seed: int) -> NDArray[np.uint8]:
    out = np.random.default_rng(seed).choice([4, 5, 6], (72, 72)).astype(np.uint8)
    kind = smooth(seed, 72)
    for low, high, code in ((0, 0.2, 9), (0.2, 0.23, 8), (0.8, 0.83, 3), (0.83, 0.86, 7), (0.86, 0.9, 11)):
        out[(kind >= low) & (kind < high)] = code
    out[:, 66:] = 0
    return out


def percent(seed: int, side: int) -> NDArray[np.uint8]:
    return np.clip(140 * smooth(seed, side) - 20, 0, 100).round().astype(np.uint8)


NUMBERS = {"blue": np.full((144, 144), 4000, np.uint16)}
SCL = classes(1)
OWN = (
    np.random.default_rng(4)
    .choice([0, 1, 2, 3, 200], (144, 144), p=[0.984, 0.004, 0.004, 0.004, 0.004])
    .astype(np.uint8)
)
MASKS = {"cloud": percent(2, 72), "snow": percent(3, 24), "own": OWN}
"""Of 20, 60 and 10 m; the files declare 0 as no data, as real ones do."""


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return made(tmp_path_factory.mktemp("rules"), "tile")


def made(folder: Path, name: str, scl: NDArray[np.uint8] = SCL, **changes: object) -> Scene:
    where: dict[str, Any] = {"west": WEST, "north": NORTH, "masks": MASKS} | changes
    return scene(folder, name, NUMBERS, scl, **where)


def configured(*rules: Mapping[str, object], **changes: object) -> CompositeConfig:
    return parse(CompositeConfig, {"method": "latest", "edge_m": 0, "dilate_m": 40, "mask": list(rules)} | changes)


def near(seeds: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    return distance_transform_edt(~seeds) <= pixels if seeds.any() else np.zeros(seeds.shape, bool)


def reasons_by_hand(
    of: Lattice, box: PixelBox, side: int, config: CompositeConfig, masks: Mapping[str, NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """The reason of every square of `side` metres: one candidate after the other, the smallest told."""
    left, top = box.col_start * of.resolution, -box.row_start * of.resolution
    rows, cols = (length * of.resolution // side for length in box.shape)
    x, y = left + side * (np.arange(cols) + 0.5), top - side * (np.arange(rows) + 0.5)

    def at(numbers: NDArray[np.uint8]) -> NDArray[np.int64]:
        values, step = numbers.astype(np.int64), SIDE / len(numbers)
        row, col = np.floor((NORTH - y) / step).astype(int), np.floor((x - WEST) / step).astype(int)
        inside = ((row >= 0) & (row < len(values)))[:, None] & ((col >= 0) & (col < len(values)))[None, :]
        picked = values[np.clip(row, 0, len(values) - 1)[:, None], np.clip(col, 0, len(values) - 1)[None, :]]
        return np.where(inside, picked, -1)

    scl = np.maximum(at(SCL), 0)
    out = OF_CLASS[scl]
    clear = out == 0
    candidates = [(near(scl == 3, config.dilate_m / side), 2), (near(np.isin(scl, (8, 9)), config.dilate_m / side), 1)]
    for rule in config.mask:
        said = scl if rule.asset == "scl" else np.where(scl > 0, at(masks[rule.asset]), -1)
        for code in rule.classes or ():
            why = int(OF_CLASS[code]) if rule.asset == "scl" else int(rule.why)
            candidates.append((near(said == code, rule.grow_m / side), why))
        if rule.threshold is not None:
            candidates.append((near(said >= rule.threshold, rule.grow_m / side), int(rule.why)))
            if rule.asset != "own":
                candidates.append((said > 100, 7))
    for where, why in sorted(candidates, key=lambda one: -one[1]):
        out[clear & where] = why
    return out


def cells_by_hand(squares: NDArray[np.uint8], factor: int, share: float) -> NDArray[np.uint8]:
    rows, cols = (length // factor for length in squares.shape)
    cells = squares.reshape(rows, factor, cols, factor).transpose(0, 2, 1, 3).reshape(rows, cols, -1)
    counts = np.stack([(cells == why).sum(axis=2) for why in range(12)], axis=2)
    observed = counts[..., 0] >= math.ceil(share * factor * factor - 1e-9)
    return np.where(observed, 0, 1 + counts[..., 1:].argmax(axis=2)).astype(np.uint8)


RULES = {
    "cloud probability": ({"asset": "cloud", "threshold": 60},),
    "and grown": ({"asset": "cloud", "threshold": 75, "grow_m": 70},),
    "one threshold grown, a lower one not": (
        {"asset": "cloud", "threshold": 75, "grow_m": 70},
        {"asset": "cloud", "threshold": 50},
    ),
    "snow, of larger pixels": ({"asset": "snow", "threshold": 70, "grow_m": 45},),
    "some classes grown further": ({"asset": "scl", "classes": [9], "grow_m": 120},),
    "classes that are not grown otherwise": ({"asset": "scl", "classes": [7, 11], "grow_m": 45},),
    "classes of one's own, of smaller pixels": (
        {"asset": "own", "classes": [1, 3], "grow_m": 25, "reason": "defective"},
        {"asset": "own", "classes": [2], "reason": "cloud_shadow"},
    ),
    "amounts of one's own": ({"asset": "own", "threshold": 150, "reason": "unclassified"},),
    "all at once": (
        {"asset": "cloud", "threshold": 80, "grow_m": 20},
        {"asset": "snow", "threshold": 85},
        {"asset": "scl", "classes": [3], "grow_m": 60},
        {"asset": "own", "classes": [200], "grow_m": 30, "reason": "snow"},
    ),
}


@pytest.mark.parametrize("resolution", [10, 20, 60, 100])
@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_takes_out_is_what_numpy_does_at_the_pixels_of_the_masks(tile: Scene, name: str, resolution: int):
    of, config = lattice(resolution), configured(*RULES[name])
    finest = 10 if "own" in config.assets else 20
    side = min(finest, resolution)
    expected = reasons_by_hand(of, around(of), side, config, MASKS)
    if side < resolution:
        expected = cells_by_hand(expected, resolution // side, config.clear_share)
    image = observe([tile], of, around(of), BANDS, config)
    assert np.array_equal(image.reason, expected)
    assert np.array_equal(np.isfinite(image.values[0]), expected == 0)
    without = observe([tile], of, around(of), BANDS, configured())
    assert 0.05 < (expected == 0).mean() <= (without.reason == 0).mean() - (0.001 if resolution < 60 else 0)


def test_percents_beyond_a_hundred_and_numbers_that_a_file_declares_as_no_data_say_nothing_and_0_says_0(tmp_path: Path):
    scl = np.full((72, 72), 4, np.uint8)
    cloud = np.zeros((72, 72), np.uint8)
    cloud[:10], cloud[10:20] = 255, 59
    own = np.ones((72, 72), np.uint8)
    own[40:50] = 0
    config = configured({"asset": "cloud", "threshold": 60, "grow_m": 30})
    one = made(tmp_path, "one", scl, masks={"cloud": cloud})
    image = observe([one], lattice(20), around(lattice(20), 0), BANDS, config)
    assert (image.reason[:10] == Reason.NO_DATA).all()
    assert (image.reason[10:] == Reason.OBSERVED).all()
    zero = configured({"asset": "own", "classes": [0], "reason": "cloud"})
    two = made(tmp_path, "two", scl, masks={"own": own})
    image = observe([two], lattice(20), around(lattice(20), 0), BANDS, zero)
    assert (image.reason[40:50] == Reason.CLOUD).all()
    assert (image.reason == Reason.CLOUD).sum() == 720


def test_ground_where_a_mask_ends_is_not_observed(tmp_path: Path):
    short = np.zeros((30, 72), np.uint8)
    one = made(tmp_path, "one", np.full((72, 72), 4, np.uint8), masks={})
    cut = cog(tmp_path / "short.tif", short, west=WEST, north=NORTH, resolution=20)
    one = replace(one, assets=(*one.assets, ("cloud", cut)))
    image = observe(
        [one], lattice(20), around(lattice(20), 0), BANDS, configured({"asset": "cloud", "threshold": 50})
    )  # fmt: skip
    assert (image.reason[:30] == Reason.OBSERVED).all()
    assert (image.reason[30:] == Reason.NO_DATA).all()


# The rule about a copy of the scene classes decides as they do themselves: everywhere that they are read.


def copies(folder: Path, name: str, scl: NDArray[np.uint8], **where: object) -> tuple[Scene, Scene]:
    """The same scene, cloud in its classes; and cloud in a mask beside classes that know none."""
    blind = np.where(scl == 9, 4, scl).astype(np.uint8)
    seeing = made(folder, f"{name}-seeing", scl, masks={}, **where)
    return seeing, made(folder, f"{name}-blind", blind, masks={"own": scl}, **where)


@pytest.mark.parametrize("resolution", [10, 25, 60])
def test_a_rule_about_a_copy_of_the_classes_decides_as_the_classes_do_in_every_zone_and_processing(
    tmp_path: Path, resolution: int
):
    scl = np.where(np.isin(SCL, (0, 4, 5, 6, 9)), SCL, 4).astype(np.uint8)
    half, rest = scl.copy(), scl.copy()
    half[:, 30:], rest[:, :25] = 0, 0
    x, y = Transformer.from_crs(32633, 32634, always_xy=True).transform(WEST, NORTH)
    abroad = {"west": round(x / 20) * 20, "north": round(y / 20) * 20, "epsg": 32634, "tile": "34TAS"}
    pairs = [copies(tmp_path, "own", half), copies(tmp_path, "rest", rest), copies(tmp_path, "abroad", scl, **abroad)]
    of = lattice(resolution)
    by_classes = observe(
        [one for one, _ in pairs], of, around(of), BANDS, configured(grow=[9], dilate_m=45, edge_m=60)
    )  # fmt: skip
    rule = {"asset": "own", "classes": [9], "grow_m": 45, "reason": "cloud"}
    by_rule = observe(
        [one for _, one in pairs], of, around(of), BANDS, configured(rule, grow=[], dilate_m=0, edge_m=60)
    )  # fmt: skip
    for name in ("values", "reason", "clear_count", "observed_on"):
        assert getattr(by_rule, name).tobytes() == getattr(by_classes, name).tobytes()
    assert [name.partition("-")[0] for name in by_rule.resampled] == [
        name.partition("-")[0] for name in by_classes.resampled
    ]
    assert {0, 1, 7} == set(np.unique(by_rule.reason).tolist())


WHOLE: dict[int, Image] = {}


@settings(max_examples=20, deadline=None)
@given(data=st.data(), resolution=st.sampled_from([10, 60]))
def test_any_part_of_the_ground_gives_the_same_bytes(tile: Scene, data: st.DataObject, resolution: int):
    of, config = lattice(resolution), configured(*RULES["all at once"])
    box = around(of)
    whole = WHOLE.setdefault(resolution, observe([tile], of, box, BANDS, config))
    part = drawn_part(data, box)
    found, cut = observe([tile], of, part, BANDS, config), part.within(box)
    assert found.reason.tobytes() == whole.reason[cut].tobytes()
    assert found.values.tobytes() == np.ascontiguousarray(whole.values[:, *cut]).tobytes()


def test_strips_of_any_height_give_the_same_bytes(tile: Scene, monkeypatch: pytest.MonkeyPatch):
    of, config = lattice(60), configured(*RULES["all at once"])
    whole = observe([tile], of, around(of), BANDS, config)
    monkeypatch.setattr(mask, "STRIP_BYTES", 1)
    assert observe([tile], of, around(of), BANDS, config).reason.tobytes() == whole.reason.tobytes()


def test_masks_of_two_sizes_in_one_datatake_are_refused_by_the_scene_and_asset_that_differ(tile: Scene, tmp_path: Path):
    other = made(tmp_path, "other", masks=MASKS | {"own": np.zeros((48, 48), np.uint8)}, tile="33TWA", west=WEST + 420)
    with pytest.raises(PermanentReadError, match="classes of 10 m") as caught:
        observe([tile, other], lattice(60), around(lattice(60), 600), BANDS, configured(*RULES["amounts of one's own"]))
    assert (caught.value.where["scene"], caught.value.where["band"]) == ("tile", "own")


def test_a_mask_that_cannot_be_read_is_named_with_its_scene_and_not_opened_where_nothing_is_clear(tmp_path: Path):
    rule = configured({"asset": "cloud", "threshold": 50})
    clear = made(tmp_path, "clear", np.full((72, 72), 4, np.uint8))
    cloudy = made(tmp_path, "cloudy", np.full((72, 72), 9, np.uint8))
    Path(clear.href("cloud")).write_bytes(b"torn")
    Path(cloudy.href("blue")).unlink()
    with pytest.raises(PermanentReadError) as caught:
        observe([clear], lattice(10), around(lattice(10), 0), BANDS, rule)
    assert (caught.value.where["scene"], caught.value.where["band"]) == ("clear", "cloud")
    assert (observe([cloudy], lattice(10), around(lattice(10), 0), BANDS, rule).reason == Reason.CLOUD).all()


def test_a_file_that_scales_its_percents_is_refused(tmp_path: Path):
    import rasterio  # noqa: PLC0415

    one = made(tmp_path, "one")
    with rasterio.open(one.href("cloud"), "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.scales, file.offsets = (0.5,), (0.0,)
    with pytest.raises(PermanentReadError, match=r"scale 0\.5"):
        observe([one], lattice(20), around(lattice(20), 0), BANDS, configured({"asset": "cloud", "threshold": 50}))


def test_rules_take_no_more_memory_than_is_planned_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mask, "DILATED_ROWS", 16)
    scl = np.full((400, 400), 4, np.uint8)
    scl[::90, ::70] = 9
    masks = {"cloud": percent(1, 400), "snow": percent(2, 400)}
    bands = {"blue": np.full((800, 800), 4000, np.uint16)}
    one = scene(tmp_path, "one", bands, scl, west=WEST, north=NORTH, masks=masks)
    of, rules = lattice(10), ({"asset": "cloud", "threshold": 70, "grow_m": 40}, {"asset": "snow", "threshold": 80})
    box, config = of.box_covering((WEST, NORTH - 8000, WEST + 8000, NORTH)), configured(*rules)
    peak = peak_of([one], of, box, config)
    side = 800 + 2 * mask.reaching_pixels(config, of)
    assert peak < 1.05 * side * side * (8 * len(BANDS) + BYTES_PER_PIXEL + mask.mask_bytes(config))


def peak_of(scenes: list[Scene], of: Lattice, box: PixelBox, config: CompositeConfig) -> int:
    observe(scenes, of, box, BANDS, config)  # what is kept for good is not counted
    tracemalloc.start()
    observe(scenes, of, box, BANDS, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
