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


class Placed(Blur):
    """One whose arithmetic hangs on a patch's place in the batch, as vectors and threads may have it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) + torch.arange(len(images))[:, None, None, None] / 100


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
) -> NDArray[np.float32]:
    """Predict rows and columns -half to half cut at `rows` and `cols`, one core after the other, and join them."""
    whole = np.zeros((2 * half, 2 * half), np.float32)
    for core in ((*r, *c) for r in pieces(-half, half, rows) for c in pieces(-half, half, cols)):
        found = model.predict(tile(values, core, model.lattice))
        whole[core[0] + half : core[1] + half, core[2] + half : core[3] + half] = found
    return whole


cuts = st.lists(st.integers(-40, 40), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    cut=st.tuples(cuts, cuts),
    batch=st.integers(1, 9),
    halo=st.sampled_from([0, 2, 4]),
    kept=st.sampled_from([0, 5 * 1024, KEPT_BYTES]),
    values=st.sampled_from([ground(), np.full((3, *GROUND.shape), 0.3, np.float32)]),
)
def test_any_split_gives_the_same_bytes(
    cut: tuple[list[int], list[int]], batch: int, halo: int, kept: int, values: NDArray[np.float32]
):
    lattice = PatchLattice(patch=16, halo=halo)
    model, another = (predictor(Placed(), lattice=lattice, batch=batch, kept=most) for most in (kept, 0))
    assert split(values, model, *cut).tobytes() == split(values, another, [], []).tobytes()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_any_split_gives_the_same_bytes_from_sam(sam: LandslideNet, precision: Precision):
    model, another = (
        predictor(sam, lattice=PatchLattice(patch=32, halo=8), batch=3, precision=precision) for _ in range(2)
    )
    values = ground()
    whole = split(values, model, [], [], half=14)
    assert whole.tobytes() == split(values, another, [-7, 5], [3], half=14).tobytes()
    assert np.nanstd(whole) > 0.005


@pytest.mark.parametrize("threads", [2, 3])
def test_what_was_predicted_before_changes_no_byte(sam: LandslideNet, threads: int):
    """On three threads numbers hang on the place in a batch: chunks of it end within patches."""
    torch.set_num_threads(threads)
    lattice = PatchLattice(patch=112, halo=16)
    values = np.random.default_rng(0).random((3, 700, 700), np.float32) / 2

    def around(core: tuple[int, int, int, int]) -> Tile:
        read = lattice.covering(PixelBox(row_start=core[0], row_stop=core[1], col_start=core[2], col_stop=core[3]))
        within = values[:, read.row_start + 100 : read.row_stop + 100, read.col_start + 100 : read.col_stop + 100]
        return Tile(values=within, row=read.row_start, col=read.col_start, core=core)

    one, beside = (0, 256, 0, 256), (0, 256, 256, 512)
    alone, after = (predictor(sam, lattice=lattice, batch=8) for _ in range(2))
    after.predict(around(one))
    assert after.predict(around(beside)).tobytes() == alone.predict(around(beside)).tobytes()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("batch", [2, 6])
def test_a_patch_does_not_see_its_batch(sam: LandslideNet, precision: Precision, batch: int):
    """Sizes at which MKL's products of few rows differed between places in the batch, on two threads."""
    random = np.random.default_rng(1)
    model = predictor(sam, lattice=PatchLattice(patch=32, halo=0), batch=batch, precision=precision)
    values = random.random((3, 32, 32 * batch), np.float32)
    torch.set_num_threads(2)
    found = []
    for others in (values[..., 32:], random.random(values[..., 32:].shape, np.float32), np.float32(np.nan)):
        changed = values.copy()
        changed[..., 32:] = others
        model.predict(Tile(values=changed, row=0, col=0, core=(0, 32, 0, 32 * batch)))
        found.append(model.predict(Tile(values=changed, row=0, col=0, core=(0, 32, 0, 32 * batch)))[:, :32].tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("halo", [0, 2, 4])
def test_what_the_network_says_of_a_pixel_is_what_comes_out(halo: int):
    lattice = PatchLattice(patch=16, halo=halo)
    values, core = ground(), (-33, 21, -9, 38)
    found = predictor(Logit(), lattice=lattice).predict(tile(values, core, lattice))
    expected = values[0, -33 + 90 : 21 + 90, -9 + 90 : 38 + 90]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_neighbours_are_blended_by_their_weights():
    class Counted(torch.nn.Module):
        """Says another probability for each place in the batch."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            said = torch.tensor([0.2, 0.8]).logit()[: len(images), None, None, None]
            return said.expand(-1, 1, *images.shape[2:])

    found = predictor(Counted(), batch=2).predict(tile(np.ones((3, *GROUND.shape), np.float32), (3, 4, 6, 8)))
    # Patches of stride 8 start at -4 and 4; their ramps of four pixels cross between columns 6 and 10.
    expected = [0.2 * 0.875 + 0.8 * 0.125, 0.2 * 0.625 + 0.8 * 0.375]
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_pixel_without_data_in_any_band_stays_without_probability():
    values = np.full((3, *GROUND.shape), 0.3, np.float32)
    values[1, 95, 96] = np.nan
    found = predictor(Blur()).predict(tile(values, (0, 20, 0, 20)))
    assert np.argwhere(np.isnan(found)).tolist() == [[5, 6]]


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 7, 8, 16])
def test_batches_are_always_whole_and_nearly_all_of_a_core_are_full(batch: int):
    net, least, most = Blur(), 0, 0
    for core in ((0, 9, -30, -21), (-40, 40, -40, 40), (-33, 20, 4, 40), (0, 2, -40, 40)):
        predictor(net, batch=batch).predict(tile(cloudless(), core))
        patches = needed(core)
        least, most = least + -(-patches // batch), most + -(-patches // batch) + 1 + patches // batch // 10
    assert {images.shape for images in net.seen} == {(batch, 3, 16, 16)}
    assert least <= len(net.seen) <= most


def cloudless(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((3, *GROUND.shape), np.float32)


def needed(core: tuple[int, int, int, int]) -> int:
    return LATTICE.count(PixelBox(row_start=core[0], row_stop=core[1], col_start=core[2], col_stop=core[3]))


HALVES = (0,)
"""Cuts the ground into four cores."""

PATCH_BYTES = 16 * 16 * 4


def runs(cuts_at: Sequence[int], *, kept: int = KEPT_BYTES, batch: int = 1) -> int:
    """How many batches of the network the ground takes, cut so in both directions."""
    net = Blur()
    split(cloudless(), predictor(net, batch=batch, kept=kept), cuts_at, cuts_at)
    return len(net.seen)


def test_a_patch_over_the_border_of_two_cores_is_run_once():
    apart = sum(needed((r, r + 40, c, c + 40)) for r in (-40, 0) for c in (-40, 0))
    assert runs(HALVES) == runs([]) < runs(HALVES, kept=0) == apart
    assert runs(HALVES, batch=3) <= runs([]) // 3 + 4, "known ones take no place"


def test_what_is_kept_of_patches_is_so_many_bytes_and_what_was_asked_for_longest_ago_goes_first():
    net = Blur()
    model = predictor(net, batch=1, kept=4 * PATCH_BYTES)

    def runs_of(core: tuple[int, int, int, int]) -> int:
        before = len(net.seen)
        model.predict(tile(cloudless(), core))
        return len(net.seen) - before

    # One patch has weight over each of the first cores, the same over both of a pair, and four over the others.
    one, its_like, other, third, fourth, fifth = ((-30, -28, c, c + 2) for c in (-30, -28, -22, -14, -6, 2))
    corner, far = (-1, 1, -1, 1), (21, 23, 21, 23)
    assert [runs_of(core) for core in (one, its_like, one)] == [1, 0, 0]
    assert [runs_of(core) for core in (corner, one, far, corner)] == [4, 1, 4, 4], "four fill it"
    assert [runs_of(core) for core in (one, other, third, fourth)] == [1, 1, 1, 1]
    assert [runs_of(core) for core in (one, fifth, one, other)] == [0, 1, 0, 1], "the second was asked for longest ago"


def test_pixels_that_are_alike_in_two_patches_are_kept_once():
    net = Blur()
    model = predictor(net, batch=1, kept=2 * PATCH_BYTES)
    everywhere = np.full((3, *GROUND.shape), 0.5, np.float32)
    model.predict(tile(everywhere, (-1, 1, -1, 1)))
    model.predict(tile(everywhere, (-1, 1, -1, 1)))
    assert len(net.seen) == 4, "four patches of one content, in one place of a batch"


def test_patches_within_one_core_take_no_room():
    """Of its 49 patches the 24 of the rim reach over it."""
    core, above = (-34, 10, -34, 10), (-78, -34, -34, 10)

    def ran_above(kept: int) -> int:
        net = Blur()
        model = predictor(net, batch=1, kept=kept)
        for one in (core, above):
            model.predict(tile(cloudless(), one))
        return len(net.seen) - needed(core)

    assert needed(core) == 49
    assert ran_above(24 * PATCH_BYTES) == ran_above(KEPT_BYTES) < needed(above) == ran_above(0)


@pytest.mark.parametrize("band", [0, 2])
def test_the_same_place_with_another_pixel_is_not_what_is_kept_of_it(band: int):
    model, cores = predictor(Blur(), batch=2), [(-40, 0, -40, 40), (0, 40, -40, 40)]
    values = cloudless()
    for value in (0.1, 0.9):
        values[band, 90, 90] = value
        for core in cores:
            found, alone = (one.predict(tile(values, core)) for one in (model, predictor(Blur(), batch=2)))
            assert found.tobytes() == alone.tobytes()


def test_what_is_kept_holds_nothing_else():
    """A view would keep all of its batch, which no count of bytes has."""
    model = predictor(Blur(), batch=9)
    model.predict(tile(cloudless(), (-40, 40, -40, 40)))
    kept = list(model._kept._known.values())
    assert {(one.shape, one.dtype.name, one.base is None) for one in kept} == {((16, 16), "float32", True)}


def test_ground_without_data_costs_nothing():
    net = Blur()
    values = np.full((3, *GROUND.shape), np.nan, np.float32)
    found = predictor(net).predict(tile(values, (0, 30, 0, 30)))
    assert net.seen == []
    assert np.isnan(found).all()


def test_only_patches_over_observed_pixels_are_run():
    net = Blur()
    values = np.full((3, *GROUND.shape), np.nan, np.float32)
    values[:, 90, 90] = 0.4
    found = predictor(net, batch=1).predict(tile(values, (-40, 40, -40, 40)))
    around = PixelBox(row_start=0, row_stop=1, col_start=0, col_stop=1)
    assert len(net.seen) == LATTICE.count(around)
    assert np.argwhere(~np.isnan(found)).tolist() == [[40, 40]]


def test_temperature_and_bias_of_the_card_apply():
    card = ModelCard(model=MODEL, inputs=INPUTS, temperature=2.0, bias=-0.5, base=CARD.base)
    values = np.full((3, *GROUND.shape), 0.8, np.float32)
    found = predictor(Logit(), card=card).predict(tile(values, (0, 4, 0, 4)))
    logit = np.log(0.8 / 0.2)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(logit - 0.5) / 2)), rtol=1e-5)


@pytest.mark.parametrize("cut", [np.s_[:, 1:], np.s_[:, :-1], np.s_[:, :, :-1]])
def test_tile_that_does_not_reach_far_enough_is_refused(cut: tuple[slice, ...]):
    whole = tile(ground(), (0, 20, 0, 20))
    short = Tile(values=whole.values[cut], row=whole.row, col=whole.col, core=whole.core)
    with pytest.raises(InvalidInputError, match="at least rows"):
        predictor(Blur()).predict(short)


@pytest.mark.parametrize("answer", ["nan", "inf", "-inf"])
def test_network_without_an_answer_stops_the_run(answer: str):
    class Lost(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :1] * float(answer)

    with pytest.raises(BrokenRunError, match="no number for 16 pixels"):
        predictor(Lost()).predict(tile(np.ones((3, *GROUND.shape), np.float32), (0, 4, 0, 4)))


def test_memory_that_a_cpu_does_not_have_is_the_units_failure_and_any_other_error_of_torch_is_not():
    class Large(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.new_empty(2**50)

    class Wrong(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images @ images.new_zeros(3, 5)

    asked = tile(np.ones((3, *GROUND.shape), np.float32), (0, 4, 0, 4))
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
