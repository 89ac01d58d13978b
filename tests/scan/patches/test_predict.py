from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_scale.cards.card import BaseWeights, ModelCard
from landslide_scale.errors import BrokenRunError, InvalidInputError
from landslide_scale.grid import PatchLattice, PixelBox
from landslide_scale.model import LandslideNet, build, random_base
from landslide_scale.scan.patches.canvas import Tile
from landslide_scale.scan.patches.predict import KEPT_BYTES, BlockPredictor
from landslide_scale.spec import InputSpec, LandslideNetSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from landslide_scale.provenance import Precision

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)
INPUTS = InputSpec.for_bands("boa", MODEL.bands)
CARD = ModelCard(model=MODEL, inputs=INPUTS, base=BaseWeights(source="random:0", sha256=""))
LATTICE = PatchLattice(patch=16, halo=4)
GROUND = PixelBox(row_start=-90, row_stop=90, col_start=-90, col_stop=90)


class Blur(torch.nn.Module):
    """A quick network whose logit at a pixel depends on all of its patch, and which notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images)
        values = images.nan_to_num(0.0).sum(1, keepdim=True)
        return values.cumsum(2).cumsum(3).sin() + values


class Logit(torch.nn.Module):
    """Gives back the first band, so that what comes out is known."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1].nan_to_num(0.5).logit()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks lose more to waiting for a second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def sam() -> LandslideNet:
    net = build(MODEL, INPUTS, base=random_base("vit_t", 0))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for tensor in net.tuning.up.parameters():
            tensor.normal_(std=0.05)
    return net


def predictor(
    net: torch.nn.Module,
    *,
    card: ModelCard = CARD,
    lattice: PatchLattice = LATTICE,
    batch: int = 5,
    precision: Precision = "float32",
    kept: int = KEPT_BYTES,
) -> BlockPredictor:
    return BlockPredictor(
        net, card, lattice=lattice, batch=batch, precision=precision, device="cpu", threads=None, kept=kept
    )


def ground(seed: int = 0) -> NDArray[np.float32]:
    """Reflectance of GROUND with clouds cut out of it."""
    random = np.random.default_rng(seed)
    values = random.random((3, *GROUND.shape), np.float32)
    values[:, random.random(GROUND.shape) < 0.1] = np.nan
    values[:, 70:90, 95:130] = np.nan
    return values


def tile(values: NDArray[np.float32], core: tuple[int, int, int, int], lattice: PatchLattice = LATTICE) -> Tile:
    """The least that predicting `core` needs of `values`, which cover GROUND."""
    row_start, row_stop, col_start, col_stop = core
    box = PixelBox(row_start=row_start, row_stop=row_stop, col_start=col_start, col_stop=col_stop)
    read = lattice.covering(box)
    return Tile(values=values[(slice(None), *read.within(GROUND))], row=read.row_start, col=read.col_start, core=core)


def pieces(first: int, stop: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    edges = [first, *sorted({cut for cut in cuts if first < cut < stop}), stop]
    return list(pairwise(edges))


def split(
    values: NDArray[np.float32],
    model: BlockPredictor,
    rows: Sequence[int],
    cols: Sequence[int],
    *,
    half: int = 40,
    together: int = 1,
):
    """Predict rows and columns -half to half cut at `rows` and `cols`, `together` cores in a call, and join them."""
    cores = [(*r, *c) for r in pieces(-half, half, rows) for c in pieces(-half, half, cols)]
    whole = np.zeros((2 * half, 2 * half), np.float32)
    for first in range(0, len(cores), together):
        some = cores[first : first + together]
        for core, found in zip(some, model.predict([tile(values, c, model.lattice) for c in some]), strict=True):
            whole[core[0] + half : core[1] + half, core[2] + half : core[3] + half] = found
    return whole


cuts = st.lists(st.integers(-40, 40), max_size=4)


@settings(max_examples=40, deadline=None)
@given(rows=cuts, cols=cuts, together=st.integers(1, 5), batch=st.integers(1, 9), halo=st.sampled_from([0, 2, 4]))
def test_any_split_gives_the_same_bytes(rows: list[int], cols: list[int], together: int, batch: int, halo: int):
    lattice = PatchLattice(patch=16, halo=halo)
    model, another = (predictor(Blur(), lattice=lattice, batch=batch) for _ in range(2))
    values = ground()
    assert split(values, model, rows, cols, together=together).tobytes() == split(values, another, [], []).tobytes()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_any_split_gives_the_same_bytes_from_sam(sam: LandslideNet, precision: Precision):
    model = predictor(sam, lattice=PatchLattice(patch=32, halo=8), batch=3, precision=precision)
    values = ground()
    whole = split(values, model, [], [], half=14)
    assert whole.tobytes() == split(values, model, [-7, 5], [3], half=14, together=2).tobytes()
    assert np.nanstd(whole) > 0.005


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("batch", [2, 6])
def test_a_patch_does_not_see_its_batch(sam: LandslideNet, precision: Precision, batch: int):
    """Sizes at which MKL's products of few rows differed between places in the batch, on two threads."""
    random = np.random.default_rng(1)
    model = predictor(sam, lattice=PatchLattice(patch=32, halo=0), batch=batch, precision=precision)
    tiles = [
        Tile(values=random.random((3, 32, 32), np.float32), row=0, col=0, core=(0, 32, 0, 32)) for _ in range(batch)
    ]
    torch.set_num_threads(2)
    everywhere = {found.tobytes() for found in model.predict(tiles[:1] * batch)}
    assert everywhere == {model.predict(tiles)[0].tobytes()} == {model.predict(tiles[:1])[0].tobytes()}


@pytest.mark.parametrize("halo", [0, 2, 4])
def test_what_the_network_says_of_a_pixel_is_what_comes_out(halo: int):
    lattice = PatchLattice(patch=16, halo=halo)
    values, core = ground(), (-33, 21, -9, 38)
    found = predictor(Logit(), lattice=lattice).predict([tile(values, core, lattice)])[0]
    expected = values[0, -33 + 90 : 21 + 90, -9 + 90 : 38 + 90]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_neighbours_are_blended_by_their_weights():
    class Counted(torch.nn.Module):
        """Says another probability for each patch, in the order they come."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            said = torch.tensor([0.2, 0.8]).logit()[: len(images), None, None, None]
            return said.expand(-1, 1, *images.shape[2:])

    found = predictor(Counted(), batch=2).predict([tile(np.ones((3, *GROUND.shape), np.float32), (3, 4, 6, 8))])
    # Patches of stride 8 start at -4 and 4; their ramps of four pixels cross between columns 6 and 10.
    expected = [0.2 * 0.875 + 0.8 * 0.125, 0.2 * 0.625 + 0.8 * 0.375]
    np.testing.assert_allclose(found[0], [expected], rtol=1e-5)


def test_pixel_without_data_in_any_band_stays_without_probability():
    values = np.full((3, *GROUND.shape), 0.3, np.float32)
    values[1, 95, 96] = np.nan
    found = predictor(Blur()).predict([tile(values, (0, 20, 0, 20))])[0]
    assert np.argwhere(np.isnan(found)).tolist() == [[5, 6]]


def test_batches_are_always_whole_and_filled_across_tiles():
    net = Blur()
    values = np.random.default_rng(0).random((3, *GROUND.shape), np.float32)
    tiles = [tile(values, (0, 9, start, start + 9)) for start in (-30, 0, 30)]
    predictor(net, batch=7).predict(tiles)
    assert {images.shape for images in net.seen} == {(7, 3, 16, 16)}
    patches = sum(LATTICE.count(PixelBox(row_start=0, row_stop=9, col_start=c, col_stop=c + 9)) for c in (-30, 0, 30))
    assert len(net.seen) == -(-patches // 7)
    assert net.seen[-1][patches % 7 or 7 :].isnan().all()


HALVES = (0,)
"""Cuts the ground into four cores."""

PATCH_BYTES = 16 * 16 * 4


def runs(cuts_at: Sequence[int], *, kept: int = KEPT_BYTES, batch: int = 1) -> int:
    """How many batches of the network the ground takes, cut so in both directions."""
    net, values = Blur(), np.random.default_rng(0).random((3, *GROUND.shape), np.float32)
    split(values, predictor(net, batch=batch, kept=kept), cuts_at, cuts_at)
    return len(net.seen)


def test_a_patch_over_the_border_of_two_cores_is_run_once():
    apart = sum(
        LATTICE.count(PixelBox(row_start=r, row_stop=r + 40, col_start=c, col_stop=c + 40))
        for r in (-40, 0)
        for c in (-40, 0)
    )
    assert runs(HALVES) == runs([]) < runs(HALVES, kept=0) == apart
    assert runs(HALVES, batch=3) <= -(-apart // 3), "batches are filled whatever lies between"


def test_what_is_kept_of_patches_is_so_many_bytes_and_the_oldest_goes_first():
    net = Blur()
    model = predictor(net, batch=1, kept=4 * PATCH_BYTES)
    values = np.random.default_rng(0).random((3, *GROUND.shape), np.float32)

    def runs_of(core: tuple[int, int, int, int]) -> int:
        before = len(net.seen)
        model.predict([tile(values, core)])
        return len(net.seen) - before

    # One patch has weight over the first two cores, and four over the others: to keep those takes all there is.
    inside, beside, corner, far = (-30, -28, -30, -28), (-30, -28, -28, -26), (-1, 1, -1, 1), (21, 23, 21, 23)
    assert [runs_of(one) for one in (inside, beside, inside)] == [1, 0, 0]
    assert [runs_of(one) for one in (corner, inside, far, corner)] == [4, 1, 4, 4]


def test_the_same_place_with_other_pixels_is_not_what_is_kept_of_it():
    model, cores = predictor(Blur(), batch=2), [(-40, 0, -40, 40), (0, 40, -40, 40)]
    for seed in (0, 1):
        for core in cores:
            (found,), (alone,) = (one.predict([tile(ground(seed), core)]) for one in (model, predictor(Blur())))
            assert found.tobytes() == alone.tobytes()


def test_ground_without_data_costs_nothing():
    net = Blur()
    values = np.full((3, *GROUND.shape), np.nan, np.float32)
    found = predictor(net).predict([tile(values, (0, 30, 0, 30))])[0]
    assert net.seen == []
    assert np.isnan(found).all()
    assert predictor(net).predict([]) == []


def test_only_patches_over_observed_pixels_are_run():
    net = Blur()
    values = np.full((3, *GROUND.shape), np.nan, np.float32)
    values[:, 90, 90] = 0.4
    found = predictor(net, batch=1).predict([tile(values, (-40, 40, -40, 40))])[0]
    around = PixelBox(row_start=0, row_stop=1, col_start=0, col_stop=1)
    assert len(net.seen) == LATTICE.count(around)
    assert np.argwhere(~np.isnan(found)).tolist() == [[40, 40]]


def test_temperature_and_bias_of_the_card_apply():
    card = ModelCard(model=MODEL, inputs=INPUTS, temperature=2.0, bias=-0.5, base=CARD.base)
    values = np.full((3, *GROUND.shape), 0.8, np.float32)
    found = predictor(Logit(), card=card).predict([tile(values, (0, 4, 0, 4))])[0]
    logit = np.log(0.8 / 0.2)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(logit - 0.5) / 2)), rtol=1e-5)


@pytest.mark.parametrize("cut", [np.s_[:, 1:], np.s_[:, :-1], np.s_[:, :, :-1]])
def test_tile_that_does_not_reach_far_enough_is_refused(cut: tuple[slice, ...]):
    whole = tile(ground(), (0, 20, 0, 20))
    short = Tile(values=whole.values[cut], row=whole.row, col=whole.col, core=whole.core)
    with pytest.raises(InvalidInputError, match="at least rows"):
        predictor(Blur()).predict([short])


@pytest.mark.parametrize("answer", ["nan", "inf", "-inf"])
def test_network_without_an_answer_stops_the_run(answer: str):
    class Lost(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :1] * float(answer)

    with pytest.raises(BrokenRunError, match="no number for 16 pixels"):
        predictor(Lost()).predict([tile(np.ones((3, *GROUND.shape), np.float32), (0, 4, 0, 4))])


def test_memory_that_a_cpu_does_not_have_is_the_units_failure_and_any_other_error_of_torch_is_not():
    class Large(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.new_empty(2**50)

    class Wrong(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images @ images.new_zeros(3, 5)

    asked = [tile(np.ones((3, *GROUND.shape), np.float32), (0, 4, 0, 4))]
    with pytest.raises(MemoryError):
        predictor(Large()).predict(asked)
    with pytest.raises(RuntimeError, match="shape"):
        predictor(Wrong()).predict(asked)


def test_threads_are_set_where_given(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    set_threads: Callable[[int], None] = asked.append
    monkeypatch.setattr(torch, "set_num_threads", set_threads)
    for threads in (None, 3):
        BlockPredictor(Blur(), CARD, lattice=LATTICE, batch=1, precision="auto", device="cpu", threads=threads)
    assert asked == [3]
