"""Cards of checkpoints that somebody else made: they decide neither what is fetched nor what is allocated."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from helpers.webserver import Answer, site

from landslide_scale.cards.file import read_card
from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.model.checkpoint import restore
from landslide_scale.storage.cache import local_copy
from landslide_scale.storage.files import file_sha256

pytestmark = pytest.mark.hostile

LANDSLIDENET: dict[str, Any] = {
    "version": 1,
    "threshold": 0.5,
    "model": {"name": "landslidenet", "sam": "vit_t", "bands": ["red"], "upsample": 1, "tuning": {"width": 4}},
    "inputs": {"radiometry": "boa", "low": 0.0, "high": 1.0, "gain": 1.0, "mean": [0.5], "std": [0.2]},
    "base": {"source": "random:1", "sha256": "0" * 64},
}
UNET = LANDSLIDENET | {"model": {"name": "unet", "encoder": "resnet18", "bands": ["red"]}}

Change = Callable[[dict[str, Any]], object]


def checkpoint(folder: Path, change: Change, card: dict[str, Any] = LANDSLIDENET) -> str:
    stored = json.loads(json.dumps(card))
    change(stored)
    path = folder / "c.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, metadata={"landslide_scale": json.dumps(stored)})
    return str(path)


def at(source: str) -> Change:
    return lambda stored: stored["base"].update(source=source)


SOURCES: dict[str, Callable[[str, Path], str]] = {
    "a server": lambda address, _: f"{address}/sam.pth",
    "a metadata service": lambda address, _: f"{address}/latest/meta-data",
    "a chain": lambda address, _: f"simplecache::{address}/sam.pth",
    "an archive of a server": lambda address, _: f"zip://a.pth::{address}/sam.zip",
    "a file": lambda _, folder: str(folder / "sam.pth"),
    "a file by its address": lambda _, folder: f"file://{folder}/sam.pth",
    "a file by a chain": lambda _, folder: f"filecache::file://{folder}/sam.pth",
    "a bucket": lambda _, __: "s3://bucket/sam.pth",
    "a password file": lambda _, __: "/etc/passwd",
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("sha256", ["0" * 64, "../../../../etc/passwd", ""])
def test_where_a_card_says_base_weights_were_is_not_asked(tmp_path: Path, name: str, sha256: str):
    (tmp_path / "sam.pth").write_bytes(b"a secret file of the user")
    with site(lambda _: Answer(content=b"x")) as running:
        source = SOURCES[name](running.address, tmp_path)
        url = checkpoint(tmp_path, lambda stored: stored["base"].update(source=source, sha256=sha256))
        with pytest.raises(InvalidCheckpointError, match="no copy of them is here") as caught:
            restore(url, cache=tmp_path / "cache")
    assert running.asked == []
    assert not (tmp_path / "cache").exists()
    assert caught.value.where["file"] == url
    assert file_sha256(tmp_path / "sam.pth") not in str(caught.value)


ENCODERS = ["tu-hf-hub:somebody/net", "tu-local-dir:/tmp/net", "tu-resnet18", "hf-hub:somebody/net", "resnet19", "../x"]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_encoder_is_one_of_a_list(tmp_path: Path, encoder: str):
    url = checkpoint(tmp_path, lambda stored: stored["model"].update(encoder=encoder), UNET)
    with pytest.raises(InvalidCheckpointError, match="one of segmentation-models-pytorch's own"):
        restore(url)


def tuned(**changes: object) -> Change:
    return lambda stored: stored["model"]["tuning"].update(changes)


def model(**changes: object) -> Change:
    return lambda stored: stored["model"].update(changes)


def inputs(**changes: object) -> Change:
    return lambda stored: stored["inputs"].update(changes)


def card(**changes: object) -> Change:
    return lambda stored: stored.update(changes)


NUMBERS: dict[str, Change] = {
    "a width of 10^8": tuned(width=10**8),
    "a width of 400 digits": tuned(width=10**400),
    "a width below nothing": tuned(width=-1),
    "a hundred thousand blocks": tuned(blocks=list(range(100_000))),
    "a block of 10^9": tuned(blocks=[10**9]),
    "a block below nothing": tuned(blocks=[-1]),
    "a hundred thousand bands": model(bands=[f"b{n}" for n in range(100_000)]),
    "a band of a million characters": model(bands=["b" * 1_000_000]),
    "enlarged a million times": model(upsample=10**6),
    "a threshold that is no number": card(threshold=float("nan")),
    "a temperature without end": card(temperature=float("inf")),
    "a temperature of 10^300": card(temperature=1e300),
    "a bias of 10^300": card(bias=1e300),
    "a gain that is no number": inputs(gain=float("nan")),
    "a gain without end": inputs(gain=float("inf")),
    "limits turned round": inputs(low=1.0, high=0.0),
    "a deviation of nothing": inputs(std=[0.0]),
    "a mean without end": inputs(mean=[float("-inf")]),
    "a hundred thousand means": inputs(mean=[0.0] * 100_000, std=[1.0] * 100_000),
    "terrain that is not there": inputs(terrain=[7]),
    "a resolution below nothing": card(trained_on={"resolution": -1.0}),
    "a seed of 5000 digits": at("random:" + "9" * 5000),
    "a seed of 30 digits": at("random:" + "9" * 30),
    "a seed that is a text": at("random:x"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_without_bounds_is_refused_before_anything_is_allocated(tmp_path: Path, name: str):
    url = checkpoint(tmp_path, NUMBERS[name])
    tracemalloc.start()
    with pytest.raises(InvalidCheckpointError) as caught:
        restore(url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.where["file"] == url
    assert "do not fit" not in str(caught.value)  # which is found when the network has been built
    assert len(str(caught.value)) < 6000
    assert peak < 200e6


def test_a_network_that_cannot_be_built_is_the_checkpoints_fault(tmp_path: Path):
    url = checkpoint(tmp_path, model(depth=3, encoder="mit_b0"), UNET)
    with pytest.raises(InvalidCheckpointError) as caught:
        restore(url)
    assert caught.value.where["file"] == url


def test_a_card_is_read_all_the_same(tmp_path: Path):
    assert read_card(checkpoint(tmp_path, at("https://host/sam.pth"))).base.source == "https://host/sam.pth"


def test_two_versions_of_one_address_are_two_files(tmp_path: Path):
    with site(lambda asked: Answer(content=asked.query.encode())) as running:
        found = [local_copy(f"{running.address}/a.pth?versionId={n}", None, tmp_path) for n in (1, 2, 1)]
    assert [path.read_text() for path in found] == ["versionId=1", "versionId=2", "versionId=1"]
    assert "versionId" not in "".join(path.name for path in tmp_path.rglob("*"))
