from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
import safetensors.torch
import torch
from torchvision.models import resnet18

from landslide_scale.cards.card import BaseWeights, ModelCard
from landslide_scale.cards.file import check_base, identified, read_card
from landslide_scale.errors import BrokenRunError, InvalidCheckpointError
from landslide_scale.metrics import AreaRatio
from landslide_scale.model import LandslideNet, build, random_base
from landslide_scale.model.checkpoint import random_weights, restore, save
from landslide_scale.model.landslidenet.sam import sam_parts
from landslide_scale.model.presets import PAPER
from landslide_scale.model.weights import load_base, load_classifier
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import ConvNetSpec, InputSpec, LandslideNetSpec, TuningSpec
from landslide_scale.storage.files import file_sha256, read_range

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BANDS = ("red", "green", "blue", "nir")
MODEL = LandslideNetSpec(sam="vit_t", tuning=TuningSpec(width=5, sharing="per_block"), bands=BANDS, upsample=2)
INPUTS = InputSpec.for_bands("boa", BANDS)
LEARNED = {
    "threshold": 0.37,
    "temperature": 1.3,
    "bias": -0.1,
    "prevalence": 0.023,
    "area": AreaRatio(low=0.7, mid=0.9, high=1.25, places=31),
    "trained_on": ImageFacts(
        resolution=10.0, method="median", clear=(4, 5, 6), dilate_m=100.0, dem="cop-dem-glo-30", fair_share=True
    ),
}


@pytest.fixture(scope="module")
def card() -> ModelCard:
    base = random_weights(MODEL, 4)
    return ModelCard(model=MODEL, inputs=INPUTS, base=base, provenance={"trained on": "a made world"}, **LEARNED)


@pytest.fixture(scope="module")
def net() -> LandslideNet:
    """As if trained: every trainable tensor moved."""
    net = build(MODEL, INPUTS, base=random_base("vit_t", 4))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in net.trained_state().values():
            tensor.add_(0.01 * torch.randn(tensor.shape, generator=generator))
    return net


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, net: LandslideNet, card: ModelCard) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "net.safetensors"
    save(str(path), net, card)
    return path.read_bytes()


@pytest.fixture
def checkpoint(tmp_path: Path, written: bytes) -> Path:
    path = tmp_path / "net.safetensors"
    path.write_bytes(written)
    return path


@pytest.fixture
def rewrite(checkpoint: Path) -> Callable[..., str]:
    """The checkpoint with its stored card changed."""

    def rewrite(change: Callable[[dict[str, object]], object]) -> str:
        with safetensors.safe_open(checkpoint, "pt") as file:
            stored = json.loads(file.metadata()["landslide_scale"])
        stored = change(stored) or stored
        tensors = safetensors.torch.load_file(checkpoint)
        safetensors.torch.save_file(tensors, checkpoint, metadata={"landslide_scale": json.dumps(stored)})
        return str(checkpoint)

    return rewrite


def test_restored_network_gives_identical_output(checkpoint: Path, net: LandslideNet, card: ModelCard):
    restored, found = restore(str(checkpoint))
    images = torch.rand(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(restored(images), net(images))
    assert found == card
    assert (restored.spec, restored.inputs) == (MODEL, INPUTS)


def test_restored_network_is_frozen_as_before(checkpoint: Path, net: LandslideNet):
    restored, _ = restore(str(checkpoint), checkpoint_gradients=True)
    assert restored.trained_state().keys() == net.trained_state().keys()
    assert restored.checkpoint_gradients


def test_card_reads_without_the_tensors(checkpoint: Path, card: ModelCard):
    header = 8 + int.from_bytes(checkpoint.read_bytes()[:8], "little")
    checkpoint.write_bytes(checkpoint.read_bytes()[:header])
    assert read_card(str(checkpoint)) == card


def test_file_holds_trained_tensors_only(checkpoint: Path, net: LandslideNet):
    assert safetensors.torch.load_file(checkpoint).keys() == net.trained_state().keys()


def test_save_says_the_sha256_and_leaves_nothing_else(tmp_path: Path, net: LandslideNet, card: ModelCard):
    url = str(tmp_path / "new" / "net.safetensors")
    assert save(url, net, card) == save(url, net, card) == identified(url).sha256
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.safetensors"]


def test_checkpoint_lives_behind_a_url_too(net: LandslideNet, card: ModelCard):
    url = "memory://models/net.safetensors"
    sha256 = save(url, net, card)
    assert sha256 == identified(url).sha256 == hashlib.sha256(fsspec.filesystem("memory").cat(url)).hexdigest()
    assert read_card(url) == restore(url)[1] == identified(url).card == card


def test_card_of_another_network_is_not_saved(tmp_path: Path, net: LandslideNet, card: ModelCard):
    with pytest.raises(InvalidCheckpointError, match="card of another network"):
        save(str(tmp_path / "net"), net, replace(card, model=replace(MODEL, upsample=4)))
    assert not list(tmp_path.iterdir())


def test_paper_preset_stays_under_18_mb(tmp_path: Path):
    inputs = InputSpec.for_bands("boa", PAPER.bands)
    with torch.device("meta"):
        net = LandslideNet(PAPER, inputs, sam=sam_parts("vit_l"), checkpoint_gradients=False)
    for part in (net.tuning, net.mask_decoder):
        part.to_empty(device="cpu")
    card = ModelCard(model=PAPER, inputs=inputs, base=BaseWeights(source="random:0", sha256="0"))
    save(str(tmp_path / "paper"), net, card)
    assert 16e6 < (tmp_path / "paper").stat().st_size < 18e6


def test_base_weights_are_read_where_told_or_from_the_cache_and_never_where_a_card_says(
    tmp_path: Path, net: LandslideNet, card: ModelCard
):
    weights, moved, cache = tmp_path / "sam.pth", tmp_path / "moved.pth", tmp_path / "cache"
    torch.save(random_base("vit_t", 4), weights)
    url, sha256 = str(tmp_path / "net"), file_sha256(weights)
    save(url, net, replace(card, base=BaseWeights(source=str(weights), sha256=sha256)))
    with pytest.raises(InvalidCheckpointError, match=rf"no copy of them is here.*{weights}: name that"):
        restore(url, cache=cache)
    with pytest.raises(InvalidCheckpointError, match="no copy"):
        check_base(read_card(url), None, cache)
    restore(url, base_url=str(weights), cache=cache)
    weights.rename(moved)
    restore(url, base_url=str(moved), cache=cache)
    cache.mkdir(exist_ok=True)
    (cache / f"{sha256}.pth").write_bytes(moved.read_bytes())
    check_base(read_card(url), None, cache)
    restore(url, cache=cache)
    torch.save(random_base("vit_t", 5), moved)
    with pytest.raises(InvalidCheckpointError, match="SHA-256"):
        restore(url, base_url=str(moved), cache=cache)


def test_a_checkpoint_of_another_hash_than_a_run_was_begun_with_is_not_loaded(checkpoint: Path):
    known = identified(str(checkpoint)).sha256
    assert restore(str(checkpoint), sha256=known)[1] == read_card(str(checkpoint))
    with pytest.raises(BrokenRunError, match=f"SHA-256 {known}; expected {'0' * 64}, with which the run was begun"):
        restore(str(checkpoint), sha256="0" * 64)


def test_base_weights_that_change_between_their_hash_and_their_reading_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "sam.pth"
    torch.save(random_base("vit_t", 4), path)
    known, load = file_sha256(path), torch.load
    assert load_base(str(path), known, tmp_path / "cache")

    def replaced(file: Path, **named: Any) -> Any:  # noqa: ANN401 as torch's own
        torch.save(random_base("vit_t", 5), tmp_path / "other")
        (tmp_path / "other").replace(file)
        return load(file, **named)

    monkeypatch.setattr(torch, "load", replaced)
    with pytest.raises(InvalidCheckpointError, match="changed while it was read"):
        load_base(str(path), known, tmp_path / "cache")


def test_random_base_that_comes_out_differently_is_refused(rewrite: Callable[..., str]):
    url = rewrite(lambda stored: stored["base"].update(sha256="0" * 64))
    with pytest.raises(InvalidCheckpointError, match=r"random:4 come out with SHA-256 .* version of torch"):
        restore(url)


def test_source_never_keeps_credentials():
    base = BaseWeights(source="https://me:key@host/sam.pth?X-Amz-Signature=abc", sha256="0")
    assert base.source == "https://host/sam.pth"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda stored: stored.update(version=2), "version 2; expected version 1"),
        (lambda stored: stored.pop("version"), "version None"),
        (lambda _: [1], "version 'list'"),
        (lambda stored: stored.update(colour="red"), r"\['colour'\]; expected only model, inputs"),
        (lambda stored: stored["model"]["tuning"].update(depth=3), r"card.model.tuning: .*\['depth'\]"),
        (lambda stored: stored.pop("base"), "expected base too"),
        (lambda stored: stored.update(threshold="0.5"), "card.threshold: .*'0.5'; expected float"),
        (lambda stored: stored["model"].update(upsample=True), "card.model.upsample: .*True; expected int"),
        (lambda stored: stored["model"].update(sam="vit_x"), "card.model.sam: .*'vit_x'; expected 'vit_t' or"),
        (lambda stored: stored["model"].update(bands="red"), "card.model.bands: .*'red'; expected a list"),
        (lambda stored: stored["inputs"].update(mean=[1.0, None]), r"card.inputs.mean\[1\]: .*None"),
        (lambda stored: stored.update(provenance=["text"]), "card.provenance: .*keys with text"),
        (lambda stored: stored["model"].update(upsample=9), "upsample 9; expected 1 to 8"),
        (lambda stored: stored.update(threshold=1.5), "threshold 1.5"),
        (
            lambda stored: stored.update(threshold=10**400),
            "card.threshold: .*a whole number of 401 digits; expected float",
        ),
        (lambda stored: stored.update(temperature=0), "temperature 0"),
        (lambda stored: stored.update(bias=float("inf")), "bias inf"),
    ],
)
def test_malformed_card_is_refused_by_key(
    rewrite: Callable[..., str], change: Callable[[dict[str, object]], object], complaint: str
):
    url = rewrite(lambda stored: found if isinstance(found := change(stored), list) else None)
    with pytest.raises(InvalidCheckpointError, match=complaint) as refusal:
        read_card(url)
    assert refusal.value.where["file"] == url


NAN = float("nan")


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("inputs.std", lambda stored: stored["inputs"].update(std=[58.0, 0.0, 57.0, 57.0])),
        ("inputs.std", lambda stored: stored["inputs"].update(std=[58.0, NAN, 57.0, 57.0])),
        ("inputs.std", lambda stored: stored["inputs"].update(std=[58.0, -1.0, 57.0, 57.0])),
        ("inputs.mean", lambda stored: stored["inputs"].update(mean=[NAN, 1.0, 1.0, 1.0])),
        ("inputs.gain", lambda stored: stored["inputs"].update(gain=0.0)),
        ("inputs.gain", lambda stored: stored["inputs"].update(gain=NAN)),
        ("inputs.gain", lambda stored: stored["inputs"].update(gain=float("inf"))),
        ("inputs.low", lambda stored: stored["inputs"].update(low=1.0, high=0.0)),
        ("inputs.low", lambda stored: stored["inputs"].update(low=0.5, high=0.5)),
        ("inputs.low", lambda stored: stored["inputs"].update(high=NAN)),
        ("inputs.terrain", lambda stored: stored["inputs"].update(terrain=[4])),
        ("threshold", lambda stored: stored.pop("threshold")),
        ("threshold", lambda stored: stored.update(threshold=NAN)),
        ("temperature", lambda stored: stored.update(temperature=NAN)),
        ("bias", lambda stored: stored.update(bias=NAN)),
        ("prevalence", lambda stored: stored.update(prevalence=NAN)),
        ("area", lambda stored: stored["area"].update(low=NAN)),
        ("trained_on.resolution", lambda stored: stored["trained_on"].update(resolution=NAN)),
        ("trained_on.dilate_m", lambda stored: stored["trained_on"].update(dilate_m=NAN)),
        ("model.upsample", lambda stored: stored["model"].update(upsample=0)),
    ],
)
def test_a_card_whose_numbers_cannot_be_is_refused_by_key(
    rewrite: Callable[..., str], key: str, change: Callable[[dict[str, object]], object]
):
    url = rewrite(lambda stored: change(stored) and None)
    for read in (read_card, restore, identified):
        with pytest.raises(InvalidCheckpointError) as refusal:
            read(url)
        assert (refusal.value.where["key"], refusal.value.where["file"]) == (f"card.{key}", url)


def test_a_card_from_before_there_were_variants_reads_as_the_default_one(
    rewrite: Callable[..., str], net: LandslideNet, card: ModelCard
):
    def before(stored: dict[str, object]) -> None:
        for key in ("structure", "place", "skip", "blocks"):
            del stored["model"]["tuning"][key]

    restored, found = restore(rewrite(before))
    assert found == card
    images = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(restored(images), net(images))


def test_chosen_blocks_are_kept(rewrite: Callable[..., str], card: ModelCard):
    url = rewrite(lambda stored: stored["model"]["tuning"].update(blocks=[1, 3]))
    assert read_card(url).model == replace(MODEL, tuning=replace(card.model.tuning, blocks=(1, 3)))


@pytest.fixture
def conv_checkpoint(tmp_path: Path) -> str:
    """Of a UNet whose encoder began at a published classifier, which is gone."""
    model = ConvNetSpec(name="unet", encoder="resnet18", depth=3, bands=BANDS)
    weights = tmp_path / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), weights)
    base = BaseWeights(source=str(weights), sha256=file_sha256(weights))
    net = build(model, INPUTS, base=load_classifier(str(weights), base.sha256))
    net.train()(torch.rand(2, 4, 32, 32))  # moves the running statistics
    url = str(tmp_path / "unet")
    save(url, net, ModelCard(model=model, inputs=INPUTS, base=base))
    weights.unlink()
    return url


def test_a_network_trained_as_a_whole_needs_no_base_file(conv_checkpoint: str):
    net, card = restore(conv_checkpoint)
    assert card.base.source.endswith("resnet18.pth")
    stored = safetensors.torch.load_file(conv_checkpoint)
    assert stored.keys() == net.state_dict().keys()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in net.state_dict().items())
    assert stored["net.encoder.bn1.num_batches_tracked"] == 1
    assert stored["net.encoder.bn1.running_mean"].any()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda model: model.update(name="segnet"),
            r"card.model.name: .*'segnet'; expected 'landslidenet' or 'unet' or",
        ),
        (lambda model: model.update(name=["unet"]), r"card.model.name: .*\['unet'\]; expected 'landslidenet' or"),
        (lambda model: model.update(sam="vit_b"), r"card.model: .*\['sam'\]; expected only name, encoder"),
        (lambda model: model.update(depth="3"), "card.model.depth: .*'3'; expected int"),
        (lambda model: model.update(encoder="resnet19"), "encoder resnet19 for unet"),
        (lambda model: model.update(encoder="resnet34"), "trained tensors do not fit: missing: net.encoder.layer1.2"),
    ],
)
def test_a_malformed_card_of_a_convolutional_network_is_refused(
    conv_checkpoint: str, change: Callable[[dict[str, object]], object], complaint: str
):
    with safetensors.safe_open(conv_checkpoint, "pt") as file:
        stored = json.loads(file.metadata()["landslide_scale"])
    change(stored["model"])
    tensors = safetensors.torch.load_file(conv_checkpoint)
    safetensors.torch.save_file(tensors, conv_checkpoint, metadata={"landslide_scale": json.dumps(stored)})
    with pytest.raises(InvalidCheckpointError, match=complaint):
        restore(conv_checkpoint)


def test_tensors_of_another_model_are_refused(rewrite: Callable[..., str]):
    url = rewrite(lambda stored: stored["model"]["tuning"].update(width=6))
    with pytest.raises(InvalidCheckpointError, match=r"tuning\.down\.0\.bias \(5,\) instead of \(6,\)"):
        restore(url)


def test_statistics_of_other_bands_are_refused(rewrite: Callable[..., str]):
    url = rewrite(lambda stored: stored["inputs"].update(mean=[1.0]))
    with pytest.raises(InvalidCheckpointError, match="1 means and 4 deviations"):
        restore(url)


@pytest.mark.parametrize("keep", [0, 5, 8, 500, -1])
def test_truncated_file_is_refused(checkpoint: Path, keep: int):
    checkpoint.write_bytes(checkpoint.read_bytes()[:keep])
    with pytest.raises(InvalidCheckpointError, match=str(checkpoint)):
        restore(str(checkpoint))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"weights": 1}),
        b"\x02" + bytes(7) + b"[]",
        b"\x02" + bytes(7) + b"{}",
        safetensors.torch.save({"a": torch.ones(1)}),
        safetensors.torch.save({"a": torch.ones(1)}, {"landslide_scale": "{"}),
        b"\xff" * 100,
    ],
    ids=["pickle", "list", "no card", "another's", "no JSON", "huge header"],
)
def test_other_files_are_refused(checkpoint: Path, content: bytes):
    checkpoint.write_bytes(content)
    for read in (read_card, restore):
        with pytest.raises(InvalidCheckpointError, match="expected a whole checkpoint of landslide_scale"):
            read(str(checkpoint))


def test_missing_file_is_refused(tmp_path: Path):
    for read in (read_card, restore, identified):
        with pytest.raises(InvalidCheckpointError, match="cannot be read"):
            read(str(tmp_path / "none"))


def test_a_card_from_before_prevalence_was_kept_reads(rewrite: Callable[..., str], card: ModelCard):
    def without(stored: dict[str, object]) -> None:
        assert stored.pop("prevalence") == 0.023

    assert read_card(rewrite(without)) == replace(card, prevalence=None)


@pytest.mark.parametrize("prevalence", [-0.1, 1.5, "rare"])
def test_a_prevalence_that_cannot_be_is_refused(rewrite: Callable[..., str], prevalence: object):
    with pytest.raises(InvalidCheckpointError, match="prevalence"):
        read_card(rewrite(lambda stored: stored | {"prevalence": prevalence}))


def test_a_card_from_before_it_knew_its_images_reads_as_one_that_does_not_know(
    rewrite: Callable[..., str], card: ModelCard
):
    def without(stored: dict[str, object]) -> None:
        assert stored.pop("trained_on")["resolution"] == 10.0
        assert stored.pop("area")["places"] == 31

    found = read_card(rewrite(without))
    assert found == replace(card, trained_on=ImageFacts(), area=None)
    assert (found.trained_on.resolution, found.trained_on.fair_share) == (None, None)


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("trained_on", {"resolution": -10.0}, "resolution -10.0; expected metres per pixel, above 0"),
        ("trained_on", {"resolution": "10 m"}, "card.trained_on.resolution: .*expected float"),
        ("trained_on", {"clear": [4, "5"]}, r"card.trained_on.clear\[1\]: .*'5'; expected int"),
        ("trained_on", {"sensor": "S2"}, r"\['sensor'\]; expected only resolution, method"),
        ("area", {"low": 2.0}, "expected ratios of 0 or more, ascending"),
        ("area", {"low": -0.1}, "expected ratios of 0 or more, ascending"),
        ("area", {"high": float("inf")}, "expected ratios of 0 or more, ascending"),
        ("area", {"places": 0}, "ascending, and places"),
    ],
)
def test_facts_and_ranges_that_cannot_be_are_refused(
    rewrite: Callable[..., str], key: str, change: dict[str, object], said: str
):
    with pytest.raises(InvalidCheckpointError, match=said):
        read_card(rewrite(lambda stored: stored[key].update(change)))


def test_a_large_file_that_is_no_checkpoint_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.torch.save({"w": torch.zeros(10**6)}))
    ranges: list[int | None] = []

    def counted(url: str, start: int, stop: int | None) -> bytes:
        ranges.append(stop)
        return read_range(url, start, stop)

    monkeypatch.setattr("landslide_scale.model.checkpoint.read_range", counted)
    with pytest.raises(InvalidCheckpointError, match="no model card"):
        identified(str(path))
    assert all(stop is not None and stop < 1000 for stop in ranges)
