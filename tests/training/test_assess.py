"""A checkpoint scored on labelled images, as the command prints it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.registering import entry, text_of
from PIL import Image

from landslide_scale.commands import evaluate
from landslide_scale.datasets import inspect, open_dataset
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.metrics import nan_as_null
from landslide_scale.model import build, random_base
from landslide_scale.model.checkpoint import BaseWeights, ModelCard, save
from landslide_scale.reports import map_lines
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.training.assess import Assessment, evaluate_checkpoint
from landslide_scale.training.spec import TrainSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)
INPUTS = InputSpec.for_bands("rgb8", MODEL.bands)
TRAIN = TrainSpec(patch=16, batch=4, precision="float32")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for number, size in enumerate([(20, 30), (40, 16), (9, 12), (33, 33), (16, 16), (25, 18), (18, 40)]):
        mask = np.zeros(size, np.uint8)
        mask[2:7, 3:9] = 255
        image = rng.integers(0, 120, (*size, 3), dtype=np.uint8) + mask[..., None] // 2
        for folder, array in (("image", image), ("mask", mask)):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("net") / "net.safetensors")
    card = ModelCard(
        model=MODEL,
        inputs=INPUTS,
        threshold=0.47,
        temperature=1.5,
        bias=-0.1,
        prevalence=0.04,
        base=BaseWeights.random(MODEL, 0),
    )
    save(url, build(MODEL, INPUTS, base=random_base("vit_t", 0)), card)
    return url


@pytest.fixture(scope="module")
def assessed(pairs: Path, checkpoint: str) -> Assessment:
    data = DataSpec(kind="pairs", path=str(pairs), resolution=20.0)
    return evaluate_checkpoint(checkpoint, data, TRAIN, device="cpu")


def test_whole_images_hold_the_pixels_that_their_windows_counted(pairs: Path, assessed: Assessment):
    data = DataSpec(kind="pairs", path=str(pairs))
    found = inspect(open_dataset(data, MODEL, INPUTS))
    names = partition(found, data, **TRAIN.shares).holdout
    assert assessed.maps.confusion == assessed.confusion
    assert assessed.maps.images == assessed.images == len(names)
    assert sum(vars(assessed.confusion).values()) == sum(found[name].height * found[name].width for name in names)
    # A landslide of 5 x 6 px of 20 m is 12 000 m2, in each image one.
    assert [each.objects.truth for each in assessed.maps.sizes or ()] == [0, 0, len(names), 0]
    json.dumps(nan_as_null(assessed.maps.plain()), allow_nan=False)


def test_a_reader_is_told_everything(assessed: Assessment):
    lines = map_lines(assessed.maps)
    for said in (
        "pixels within 1 px",
        "borders within 1 px",
        f" of {assessed.images} landslides found",
        "0 to 1000 m2",
        "100000 m2 and more",
        "where p >= 0.05",
        "Brier score",
        "calibration: slope",
    ):
        assert said in lines


def test_the_command_prints_the_whole_images_after_the_pixels(
    pairs: Path,
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    config = {
        "dataset": {"kind": "pairs", "path": str(pairs)},
        "model": {"sam": "vit_t", "upsample": 1},
        "train": {"patch": 16, "batch": 4, "precision": "float32"},
        "output": {"run": str(tmp_path / "run")},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    assert evaluate(str(path), checkpoint) == 0
    said = capsys.readouterr().out
    registry = tmp_path / "registry.yaml"
    registry.write_text(text_of(entry(Path(checkpoint), checkpoint)))
    monkeypatch.setenv("LANDSLIDE_SCALE_REGISTRY", str(registry))
    assert evaluate(str(path), "noto") == 0
    assert capsys.readouterr().out == said
    assert said.index("macro") < said.index("borders within 1 px")
    assert "no scores by size: the area of a pixel is not known (dataset.resolution)" in said
