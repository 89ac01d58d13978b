from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer
from landslide_scale.grid import PixelBox
from landslide_scale.products.outlines.relief import OnRelief
from landslide_scale.products.outlines.runs import canonical, pixels_of, runs_by_number
from landslide_scale.products.outlines.sweep import Component, Piece, connected
from landslide_scale.products.outlines.tally import NOT_ALL, Seen, landslide, stable_days, tallies

EIGHT = np.ones((3, 3), bool)
STEP = 125
SIDE = st.integers(1, 9)
STEPS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.sampled_from((0, 130)))


def a_layer(steps: NDArray[np.uint8], seed: int) -> Layer:
    """Observed but for a few pixels, with looks and days of their own."""
    generator = np.random.default_rng(seed)
    shape = steps.shape
    return Layer(
        probability=np.where(steps > 0, generator.integers(STEP, 251, shape), steps).astype(np.uint8),
        clear_count=generator.integers(1, 5, shape).astype(np.uint8),
        observed_on=generator.integers(19_000, 19_100, shape).astype(np.uint16),
        reason=np.where(generator.random(shape) < 0.05, Reason.CLOUD, Reason.OBSERVED).astype(np.uint8),
    )


def cut(layer: Layer, box: PixelBox) -> Layer:
    part = (slice(box.row_start, box.row_stop), slice(box.col_start, box.col_stop))
    return Layer(
        **{name: getattr(layer, name)[part] for name in ("probability", "clear_count", "observed_on", "reason")}
    )


def blocks(layer: Layer, earlier: Layer, height: int, width: int) -> Iterator[tuple[int, Iterator[Piece]]]:
    rows, cols = layer.reason.shape

    def pieces(row: int) -> Iterator[Piece]:
        for col in range(0, cols, width):
            box = PixelBox(
                row_start=row, row_stop=min(row + height, rows), col_start=col, col_stop=min(col + width, cols)
            )
            seen_now = cut(layer, box)
            numbers, count = ndimage.label(landslide(seen_now, STEP), structure=EIGHT)
            if count:
                numbers = numbers.astype(np.int32)
                before = [stable_days(cut(earlier, box), STEP)]
                seen = Seen(layer=seen_now, snow_near=None, water=None, before=before, units=[f"r{row}-c{col}"],
                            relief=[OnRelief(known=1)] * count, after=[before[0] != NOT_ALL])  # fmt: skip
                runs, said = runs_by_number(numbers, count, box), tallies(seen, numbers, count)
                parts = [Component(runs=(one,), tally=tally) for one, tally in zip(runs, said, strict=True)]
                yield Piece(box=box, numbers=numbers, parts=tuple(parts))

    for number, row in enumerate(range(0, rows, height)):
        found = list(pieces(row))
        if found:  # as rows of blocks without any landslide are not told of
            yield number, iter(found)


@pytest.mark.slow
@settings(max_examples=150)
@given(STEPS, STEPS, SIDE, SIDE, st.integers(0, 9))
def test_swept_blocks_give_what_one_big_array_gives(
    steps: NDArray[np.uint8], other: NDArray[np.uint8], height: int, width: int, seed: int
):
    layer = a_layer(steps, seed)
    earlier = a_layer(np.resize(other, steps.shape), seed + 1)
    extent = PixelBox(row_start=0, row_stop=steps.shape[0], col_start=0, col_stop=steps.shape[1])
    found = list(connected(blocks(layer, earlier, height, width), extent))

    mask = (layer.reason == 0) & (layer.probability >= STEP)
    numbers, count = ndimage.label(mask, structure=EIGHT)
    wanted = sorted((np.argwhere(numbers == number) for number in range(1, count + 1)), key=lambda one: tuple(one[-1]))
    assert len(found) == count
    for component, pixels in zip(found, wanted, strict=True):
        rows, cols = pixels.T
        assert np.array_equal(np.stack(pixels_of(canonical(component.runs))), pixels.T)
        tally, probability = component.tally, layer.probability[rows, cols].astype(int)
        assert (tally.pixels, tally.steps, tally.highest) == (len(pixels), probability.sum(), probability.max())
        assert tally.newest == layer.observed_on[rows, cols].max()
        assert tally.looks == Counter(layer.clear_count[rows, cols].tolist())
        middle = np.sort(layer.clear_count[rows, cols])[(len(pixels) - 1) // 2]
        assert tally.median_looks == middle
        was = (earlier.reason[rows, cols] == 0) & (earlier.probability[rows, cols] < STEP)
        assert tally.before == ((int(earlier.observed_on[rows, cols].min()) if was.all() else NOT_ALL),)
        assert tally.after == (int(was.sum()),)
        assert tally.relief.known >= 1
        assert tally.units == {f"r{row // height * height}-c{col // width * width}" for row, col in pixels.tolist()}


def test_a_row_of_blocks_without_landslides_cuts_nothing_and_joins_nothing():
    steps = np.zeros((9, 3), np.uint8)
    steps[[2, 6], 1] = 130  # the last row of the first block, the first of the third
    layer = a_layer(steps, 3)
    layer.reason[:] = Reason.OBSERVED
    found = list(connected(blocks(layer, layer, 3, 3), PixelBox(row_start=0, row_stop=9, col_start=0, col_stop=3)))
    assert [component.tally.pixels for component in found] == [1, 1]


def test_blocks_side_by_side_tell_their_units_apart():
    layer = a_layer(np.full((2, 8), 130, np.uint8), 0)
    layer.reason[:] = Reason.OBSERVED
    layer.reason[:, 3] = Reason.CLOUD
    numbers, count = ndimage.label(landslide(layer, STEP), structure=EIGHT)
    known = {"snow_near": None, "water": None, "before": [], "after": [], "relief": [OnRelief()] * count}
    seen = Seen(layer=layer, units=["a", "b"], **known)  # type: ignore[arg-type]
    assert [set(one.units) for one in tallies(seen, numbers.astype(np.int32), count)] == [{"a"}, {"b"}]
