"""Every network and every tuning-layer variant: two training steps, a checkpoint, and one block scanned from it."""

from __future__ import annotations

import io
from itertools import product
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import torch

from landslide_scale.cards.card import ModelCard
from landslide_scale.cards.file import read_card
from landslide_scale.datasets import Sample
from landslide_scale.grid import PatchLattice, PixelBox
from landslide_scale.model import build
from landslide_scale.model.checkpoint import random_weights, restore, save
from landslide_scale.scan.patches.canvas import Tile
from landslide_scale.scan.patches.predict import BlockPredictor
from landslide_scale.spec import ConvName, ConvNetSpec, InputSpec, LandslideNetSpec, TuningSpec
from landslide_scale.training.fitting import Parts, TrainState, fit
from landslide_scale.training.spec import TrainSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from landslide_scale.spec import ModelSpec

SIDE = 32
BANDS = ("red", "green", "blue", "nir")
TRAIN = TrainSpec(epochs=1, batch=2, patch=SIDE, precision="float32", learning_rate=1e-3)
LATTICE = PatchLattice(patch=SIDE, halo=4)
BLOCK = PixelBox(row_start=0, row_stop=40, col_start=-20, col_stop=30)

STRUCTURES = ("mlp", "conv", "mixed")
PLACES = (("after", True), ("after", False), ("inside", True), ("inside", False), ("parallel", True))
SHARINGS = ("shared", "per_block")
VARIANTS = {
    (structure, place, sharing): TuningSpec(
        width=4,
        structure=STRUCTURES[structure],
        place=PLACES[place][0],
        skip=PLACES[place][1],
        sharing=SHARINGS[sharing],
    )
    for structure, place, sharing in product(range(len(STRUCTURES)), range(len(PLACES)), range(len(SHARINGS)))
}
FAST = {(place % len(STRUCTURES), place, place % len(SHARINGS)) for place in range(len(PLACES))}
"""Every structure, every place and both sharings; all of them together are slow."""

MODELS = [
    *(ConvNetSpec(name=name, encoder="resnet18", bands=BANDS) for name in get_args(ConvName)),
    ConvNetSpec(name="unet", encoder="resnet18", bands=BANDS, depth=3, upsample=2),
    LandslideNetSpec(sam="vit_t", bands=BANDS, upsample=1, train_encoder=True),
    *(
        pytest.param(
            LandslideNetSpec(sam="vit_t", bands=BANDS, upsample=1, tuning=variant),
            marks=() if chosen in FAST else pytest.mark.slow,
        )
        for chosen, variant in VARIANTS.items()
    ),
    LandslideNetSpec(sam="vit_t", bands=BANDS, upsample=1, tuning=TuningSpec(width=4, place="inside", blocks=(1, 4))),
]


def described(model: ModelSpec) -> str:
    if isinstance(model, ConvNetSpec):
        return f"{model.name}-{model.depth}"
    tuning = model.tuning
    skip = "skip" if tuning.skip else "no skip"
    return f"{tuning.structure} {tuning.place} {skip} {tuning.sharing} {tuning.blocks or 'all'} {model.train_encoder}"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Squares:
    """Patches with a bright landslide."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, epoch: int, index: int) -> Sample:
        rng = np.random.default_rng((epoch, index))
        label = np.zeros((SIDE, SIDE), np.uint8)
        label[4:20, 8:20] = 1
        return Sample(image=(0.3 * rng.random((4, SIDE, SIDE)) + 0.2 * label).astype(np.float32), label=label)


def scanned(net: torch.nn.Module, card: ModelCard) -> NDArray[np.float32]:
    read = LATTICE.covering(BLOCK)
    values = np.random.default_rng(7).random((4, *read.shape)).astype(np.float32) * 0.5
    values[:, 10:20, 10:20] = np.nan
    core = (BLOCK.row_start, BLOCK.row_stop, BLOCK.col_start, BLOCK.col_stop)
    tile = Tile(values=values, row=read.row_start, col=read.col_start, core=core)
    predictor = BlockPredictor(net, card, lattice=LATTICE, batch=3, precision="float32", device="cpu", threads=None)
    return predictor.predict(tile)


@pytest.mark.parametrize("model", MODELS, ids=described)
def test_trains_two_steps_saves_loads_and_scans_one_block_alike(model: ModelSpec, tmp_path: Path):
    inputs = InputSpec.for_bands("boa", BANDS)
    net = build(model, inputs, base=None, seed=3)
    start = {name: tensor.clone() for name, tensor in net.trained_state().items()}
    card = ModelCard(model=model, inputs=inputs, base=random_weights(model, 3))
    untrained = scanned(net, card)
    state = fit(net, Parts(train=Squares(4), validation=Squares(2), holdout=Squares(2)), TRAIN)
    steps = {int(entry["step"]) for entry in state.optimizer["state"].values()}
    assert steps == {2}
    assert any(not torch.equal(tensor, start[name]) for name, tensor in net.trained_state().items())

    trained, url = scanned(net, card), str(tmp_path / "checkpoint.safetensors")
    save(url, net, card)
    restored, found = restore(url)
    assert found == card == read_card(url)
    assert card.base.source == "random:3"
    assert scanned(restored, found).tobytes() == trained.tobytes()
    assert not np.array_equal(trained, untrained, equal_nan=True)
    assert restored.trained_state().keys() == start.keys()


@pytest.mark.parametrize("name", get_args(ConvName))
def test_a_last_batch_of_one_image_is_trained_on_too(name: str):
    """Five images in batches of two: the fifth joins the second batch, for DeepLabV3+ pools maps to one pixel."""
    model = ConvNetSpec(name=name, encoder="resnet18", bands=BANDS)
    net = build(model, InputSpec.for_bands("boa", BANDS), base=None)
    state = fit(net, Parts(train=Squares(5), validation=Squares(1), holdout=Squares(1)), TRAIN)
    assert {int(entry["step"]) for entry in state.optimizer["state"].values()} == {2}


def test_dropout_is_the_same_in_a_resumed_training_and_leaves_random_numbers_alone():
    model = ConvNetSpec(name="deeplabv3plus", encoder="resnet18", bands=BANDS, depth=3)
    parts = Parts(train=Squares(4), validation=Squares(2), holdout=Squares(2))
    two = TrainSpec(**vars(TRAIN) | {"epochs": 2})
    kept: list[bytes] = []

    def keep(state: TrainState) -> None:
        torch.save(state.to_plain(), file := io.BytesIO())
        kept.append(file.getvalue())

    random = torch.random.get_rng_state()
    whole = fit(build(model, InputSpec.for_bands("boa", BANDS), base=None), parts, two, after_epoch=keep)
    assert torch.equal(torch.random.get_rng_state(), random)
    torch.rand(5)
    state = TrainState.from_plain(torch.load(io.BytesIO(kept[0]), weights_only=True))
    resumed = fit(build(model, InputSpec.for_bands("boa", BANDS), base=None), parts, two, state=state)
    assert all(torch.equal(tensor, resumed.trained[name]) for name, tensor in whole.trained.items())
