"""A checkpoint scored on labelled images, as the command prints it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.registering import entry, text_of
from PIL import Image

from landslide_scale.cards.card import ModelCard
from landslide_scale.commands.training import evaluate
from landslide_scale.datasets import open_dataset
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidCheckpointError, InvalidDatasetError
from landslide_scale.judging.assess import Assessment, Part, evaluate_checkpoint
from landslide_scale.metrics import nan_as_null
from landslide_scale.model import build, random_base
from landslide_scale.model.checkpoint import random_weights, save
from landslide_scale.parting import Looked, Split, grouped, look, partition
from landslide_scale.parting.learned import parts_of
from landslide_scale.provenance import ImageParts
from landslide_scale.reports.scores import map_lines
from landslide_scale.spec import InputSpec, LandslideNetSpec
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


def parted(root: Path) -> tuple[Looked, Split, dict[str, str]]:
    data = DataSpec(kind="pairs", path=str(root))
    dataset = open_dataset(data, MODEL, INPUTS)
    looked = look(dataset)
    groups = grouped(dataset, looked, data)
    return looked, partition(looked.found, data, groups, **TRAIN.shares), groups


def written(url: Path, parts: ImageParts | None) -> str:
    card = ModelCard(
        model=MODEL,
        inputs=INPUTS,
        threshold=0.47,
        temperature=1.5,
        bias=-0.1,
        prevalence=0.04,
        parts=parts,
        base=random_weights(MODEL, 0),
    )
    save(str(url), build(MODEL, INPUTS, base=random_base("vit_t", 0)), card)
    return str(url)


@pytest.fixture(scope="module")
def checkpoint(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    looked, split, _ = parted(pairs)
    return written(tmp_path_factory.mktemp("net") / "net.safetensors", parts_of(split, looked))


@pytest.fixture(scope="module")
def assessed(pairs: Path, checkpoint: str) -> Assessment:
    data = DataSpec(kind="pairs", path=str(pairs), resolution=20.0)
    return evaluate_checkpoint(checkpoint, data, TRAIN, device="cpu")


def scored(checkpoint: str, root: Path, train: TrainSpec = TRAIN, part: Part = "holdout") -> Assessment:
    return evaluate_checkpoint(checkpoint, DataSpec(kind="pairs", path=str(root)), train, part=part, device="cpu")


def test_whole_images_hold_the_pixels_that_their_windows_counted(pairs: Path, assessed: Assessment):
    looked, split, _ = parted(pairs)
    found, names = looked.found, split.holdout
    assert assessed.maps.confusion == assessed.confusion
    assert assessed.maps.images == assessed.images == len(names)
    assert sum(vars(assessed.confusion).values()) == sum(found[name].height * found[name].width for name in names)
    # A landslide of 5 x 6 px of 20 m is 12 000 m2, in each image one.
    assert [each.objects.truth for each in assessed.maps.sizes or ()] == [0, 0, len(names), 0]
    json.dumps(nan_as_null(assessed.maps.plain()), allow_nan=False)


@pytest.mark.parametrize("changes", [{"seed": 1}, {"holdout": 0.6}, {"split_seed": 5}, {"validation": 0.4}])
def test_what_was_held_out_is_the_checkpoints_to_say_and_not_todays_settings(
    pairs: Path, checkpoint: str, assessed: Assessment, changes: dict[str, object]
):
    drawn = replace(TRAIN, **changes)  # type: ignore[arg-type]
    found = scored(checkpoint, pairs, drawn)
    assert (found.images, found.confusion) == (assessed.images, assessed.confusion)


def test_images_that_were_added_or_renamed_are_not_held_out(pairs: Path, checkpoint: str, tmp_path: Path):
    shutil.copytree(pairs, tmp_path / "more")
    _, split, _ = parted(pairs)
    for folder in ("image", "mask"):
        for number, name in enumerate(split.train):  # what was learnt from, under names nobody knows
            (tmp_path / "more" / folder / f"{name}.png").rename(tmp_path / "more" / folder / f"new{number}.png")
        Image.fromarray(np.random.default_rng(9).integers(0, 2, (20, 20), dtype=np.uint8) * 255).convert(
            "L" if folder == "mask" else "RGB"
        ).save(tmp_path / "more" / folder / "added.png")
    found = scored(checkpoint, tmp_path / "more")
    assert found.confusion == scored(checkpoint, pairs).confusion
    assert (
        found.lines[1] == f"not scored: {len(split.train)} learnt from, {len(split.validation)} chosen by, 1 not seen"
    )


def test_what_was_learnt_from_is_never_called_held_out(pairs: Path, checkpoint: str, tmp_path: Path):
    _, split, _ = parted(pairs)
    everything = scored(checkpoint, pairs, part="all")
    said = f"{len(split.train)} learnt from, {len(split.validation)} chosen by, {len(split.holdout)} held out"
    assert everything.lines[0].startswith(f"7 images: {said}. This is no score of ground that was kept from it")
    for folder in ("image", "mask"):
        (tmp_path / "learnt" / folder).mkdir(parents=True)
        for name in split.train:
            shutil.copy(pairs / folder / f"{name}.png", tmp_path / "learnt" / folder)
    with pytest.raises(
        InvalidDatasetError, match=f"no image that this checkpoint was kept from: {len(split.train)} le"
    ):
        scored(checkpoint, tmp_path / "learnt")


def test_another_place_is_scored_whole_and_called_that(checkpoint: str, tmp_path: Path):
    rng = np.random.default_rng(77)
    for folder in ("image", "mask"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(tmp_path / "image" / f"{number}.png")
        Image.fromarray(255 * rng.integers(0, 2, (20, 20), dtype=np.uint8)).save(tmp_path / "mask" / f"{number}.png")
    found = scored(checkpoint, tmp_path, part="all")
    assert found.lines[0].startswith("3 images of another place than it learnt from, loss ")
    with pytest.raises(InvalidDatasetError, match=r"3 not seen.*--all"):
        scored(checkpoint, tmp_path)


def test_a_checkpoint_that_does_not_say_what_it_learnt_from_has_no_held_out_images(pairs: Path, tmp_path: Path):
    silent = written(tmp_path / "net.safetensors", None)
    with pytest.raises(InvalidCheckpointError, match=r"does not say which images it learnt from.*--all"):
        scored(silent, pairs)
    said = scored(silent, pairs, part="all").lines[0]
    assert said.startswith("7 images; what this checkpoint learnt from is not known, so none is called held out")


def test_beside_its_trainings_record_an_older_checkpoint_is_known_by_names(pairs: Path, tmp_path: Path):
    _, split, _ = parted(pairs)
    silent = written(tmp_path / "checkpoint.safetensors", None)
    (tmp_path / "split.json").write_text(json.dumps(asdict(split)))
    found = scored(silent, pairs)
    assert found.images == len(split.holdout)
    assert found.lines[0].startswith(f"{found.images} held-out images (by their names: this checkpoint's card does not")


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
    assert said.startswith("2 held-out images, loss ")
    for told in ("landslide, 95 % over 2 places: not known, of so few", "constant map  P", "every pixel landslide  P"):
        assert told in said
    assert evaluate(str(path), checkpoint, every=True) == 0
    everything = capsys.readouterr().out
    assert "This is no score of ground that was kept from it" in everything
    assert "landslide, 95 % over 7 places: " in everything
    assert "no scores by size: the area of a pixel is not known (dataset.resolution)" in said
