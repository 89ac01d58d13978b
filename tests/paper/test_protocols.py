"""What each protocol judges, against a plain computation."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from landslide_scale.cards.card import ModelCard
from landslide_scale.datasets import inspect, open_dataset
from landslide_scale.datasets.elsewhere import shared
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import BrokenRunError
from landslide_scale.metrics import Confusion
from landslide_scale.model import build
from landslide_scale.model.checkpoint import random_weights, save
from landslide_scale.paper.protocols import EXAMPLES, judge
from landslide_scale.paper.study import _judge
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.storage.lease import check_lease
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.job import FinetuneJob
from landslide_scale.training.run import CHECKPOINT
from landslide_scale.training.spec import TrainSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)
INPUTS = InputSpec.for_bands("rgb8", MODEL.bands)
HELD = ["landslide/i0", "landslide/i3", "landslide/i7"]


@pytest.fixture
def job(bijie: Path, tmp_path: Path) -> FinetuneJob:
    """A training's folder with an untrained checkpoint whose threshold splits the images about in half."""
    found = FinetuneJob(
        data=DataSpec(kind="bijie", path=str(bijie), resize=48),
        model=MODEL,
        inputs=INPUTS,
        train=TrainSpec(patch=32, batch=3, precision="float32"),
        output=str(tmp_path / "run"),
    )
    net = build(MODEL, INPUTS, base=None, seed=0)
    card = ModelCard(model=MODEL, inputs=INPUTS, threshold=0.5, temperature=1.5, base=random_weights(MODEL, 0))
    Path(found.output).mkdir()
    save(f"{found.output}/{CHECKPOINT}", net, card)
    Path(found.output, "split.json").write_text(json.dumps({"train": [], "validation": [], "holdout": HELD}))
    return found


def logits_of(image: np.ndarray) -> torch.Tensor:
    """Of a 48 px image in 32 px windows of which the second of each axis counts its last 16 px only."""
    net = build(MODEL, INPUTS, base=None, seed=0).eval()
    whole = torch.empty(48, 48)
    for y, new_y in ((16, 32), (0, 0)):
        for x, new_x in ((16, 32), (0, 0)):
            with torch.inference_mode():
                one = net(torch.from_numpy(image[None, :, y : y + 32, x : x + 32].copy()))[0, 0]
            whole[new_y : y + 32, new_x : x + 32] = one[new_y - y :, new_x - x :]
    return whole


def opened(root: Path, name: str) -> tuple[Image.Image, np.ndarray]:
    folder, stem = name.split("/")
    image = Image.open(root / folder / "image" / f"{stem}.png")
    mask = root / folder / "mask" / f"{stem}.png"
    return image, np.asarray(Image.open(mask)) == 255 if mask.exists() else np.zeros(image.size[::-1], bool)


def counted(root: Path, name: str, *, original: bool) -> Confusion:
    image, label = opened(root, name)
    small = np.asarray(image.resize((48, 48), Image.Resampling.BILINEAR), np.float32).transpose(2, 0, 1)
    logits = logits_of(small)
    if original:
        logits = F.interpolate(logits[None, None], size=label.shape, mode="bilinear", align_corners=False)[0, 0]
    else:
        label = np.asarray(Image.fromarray(label).resize((48, 48), Image.Resampling.NEAREST))
    return Confusion.of(logits >= 0, torch.from_numpy(label.astype(np.uint8)))


def test_paper_pools_resized_landslide_images(job: FinetuneJob, bijie: Path):
    found = judge(job, 2).protocols["paper"]
    assert found.images == 3
    assert found.confusion == sum((counted(bijie, name, original=False) for name in HELD), Confusion())


def test_strict_judges_at_original_size_and_then_also_what_holds_no_landslide(job: FinetuneJob, bijie: Path):
    found = judge(job, 2).protocols
    strict = sum((counted(bijie, name, original=True) for name in HELD), Confusion())
    assert (found["strict"].images, found["strict"].confusion) == (3, strict)
    others = [f"non-landslide/i{number}" for number in range(12, 16)]
    everything = sum((counted(bijie, name, original=True) for name in others), strict)
    assert (found["strict-all"].images, found["strict-all"].confusion) == (7, everything)


def test_strict_protocols_also_judge_landslides_and_calibration(job: FinetuneJob):
    found = judge(job, 1).protocols
    assert not found["paper"].beyond
    assert {"object F1", "border F1", "Brier skill"} <= set(found["strict"].beyond)
    # Discs of 6 to 15 px at 0.8 m: nothing is as large as 1,000 m2, so that class has no score.
    sizes = {name: math.isnan(score) for name, score in found["strict"].beyond.items() if name.endswith("m2")}
    assert next(iter(sizes.values())) is False
    more = found["strict"].confusion.landslide.f1 <= found["strict"].beyond["F1 within 1 px"]
    assert more


def test_a_non_landslide_image_that_was_trained_on_is_not_judged(job: FinetuneJob):
    held = [*HELD, "non-landslide/i13"]
    Path(job.output, "split.json").write_text(json.dumps({"train": [], "validation": [], "holdout": held}))
    found = judge(replace(job, data=replace(job.data, non_landslide=True)), 2).protocols
    assert {name: judged.images for name, judged in found.items()} == {"paper": 3, "strict": 3, "strict-all": 4}


def test_at_original_size_and_in_one_window_all_protocols_agree_on_landslide_images(job: FinetuneJob):
    whole = replace(job, data=replace(job.data, resize=None), train=replace(job.train, patch=80))
    found = judge(whole, 1).protocols
    assert found["paper"].confusion == found["strict"].confusion
    assert found["paper"].confusion != judge(job, 1).protocols["paper"].confusion


def test_examples_run_from_the_smallest_share_of_landslide_to_the_largest(job: FinetuneJob):
    judge(job, 3)
    with np.load(Path(job.output, EXAMPLES), allow_pickle=False) as kept:
        shares = [(kept[f"label{number}"] == 1).mean() for number in range(3)]
        assert sorted(kept["names"]) == HELD
        assert kept["mask0"].dtype == bool
        assert kept["image0"].shape == (48, 48, 3)
    assert shares == sorted(shares)


def test_a_judge_that_hung_keeps_no_examples_where_the_benchmark_has_lost_its_folder(job: FinetuneJob):
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        _judge(job, 3, partial(check_lease, RunDirectory(job.output), "lease-gone.json"))
    assert not Path(job.output, EXAMPLES).exists()


def test_pixels_without_data_count_under_no_protocol(job: FinetuneJob, bijie: Path, tmp_path: Path):
    """Of every image the right half is transparent: nobody saw what its label says."""
    root = tmp_path / "half"
    shutil.copytree(bijie, root)
    sizes = {}
    for name in HELD:
        path = root / "landslide" / "image" / f"{name.split('/')[1]}.png"
        picture = Image.open(path).convert("RGBA")
        pixels = np.asarray(picture).copy()
        pixels[:, pixels.shape[1] // 2 :, 3] = 0
        sizes[name] = pixels.shape[0] * (pixels.shape[1] // 2)
        Image.fromarray(pixels).save(path)
    for resize in (48, None):
        data = replace(job.data, path=str(root), resize=resize)
        found = judge(replace(job, data=data), 2).protocols
        assert sum(vars(found["strict"].confusion).values()) == sum(sizes.values())
        seen = inspect(open_dataset(data, MODEL, INPUTS))
        expected = sum(seen[name].counted for name in HELD)
        # A column that lies half under no data has none, in squares that odd widths are resized to.
        least, most = (3 * 48 * 23, 3 * 48 * 24) if resize else (sum(sizes.values()),) * 2
        assert least <= expected <= most
        assert sum(vars(found["paper"].confusion).values()) == expected


def test_maps_that_look_at_no_image_are_judged_under_every_protocol(job: FinetuneJob, bijie: Path):
    learnt = [f"landslide/i{number}" for number in (1, 2, 4, 5, 6)]
    Path(job.output, "split.json").write_text(json.dumps({"train": learnt, "validation": [], "holdout": HELD}))
    found = judge(job, 1)
    assert set(found.rivals) == {"constant map", "every pixel landslide"}
    for protocol, judged in found.protocols.items():
        for rival in found.rivals.values():
            assert rival[protocol].images == judged.images
            assert sum(vars(rival[protocol].confusion).values()) == sum(vars(judged.confusion).values())
        everything = found.rivals["every pixel landslide"][protocol].confusion
        assert (everything.fn, everything.tn) == (0, 0)
        assert everything.tp == judged.confusion.tp + judged.confusion.fn
    # All discs lie in the middle of their pictures: where is known without looking.
    assert found.rivals["constant map"]["paper"].confusion.landslide.f1 > 0.6
    labels = [opened(bijie, name)[1] for name in HELD]
    assert everything.tp == sum(int(label.sum()) for label in labels)


TOGETHER = {"groups": [["landslide/i3", "landslide/i7"]]}


@pytest.mark.parametrize("ground", [{"ground": TOGETHER}, TOGETHER])  # the latter as the first that looked wrote it
def test_pixels_are_kept_by_place_and_images_of_one_ground_are_one(job: FinetuneJob, ground: dict[str, object]):
    content = {"train": [], "validation": [], "holdout": HELD} | ground
    Path(job.output, "split.json").write_text(json.dumps(content))
    for protocol, judged in judge(job, 1).protocols.items():
        assert sum(judged.places.values(), Confusion()) == judged.confusion
        known = {place for place in judged.places if place.startswith("landslide/")}
        assert known == {"landslide/i0", "landslide/i3"}, protocol


def test_what_is_contested_is_also_judged_once_it_is_ignored(job: FinetuneJob, bijie: Path):
    """The label of one held-out image is said to lie over another's: its disc is ignored there, or does not count."""
    overlap = {"first": "landslide/i0", "second": "landslide/i3", "rows": 8, "cols": 0, "pixels": 900}
    contested = {"pixels": 50, "landslide": 500, "pairs": 1}
    content = {
        "train": [],
        "validation": [],
        "holdout": HELD,
        "ground": {"overlaps": [overlap]},
        "contested": contested,
    }
    Path(job.output, "split.json").write_text(json.dumps(content))
    found = judge(job, 1)
    assert list(found.protocols) == ["paper", "strict", "strict-agreed", "strict-all"]
    assert found.contested is not None
    assert found.contested.pixels == 50
    one, other = (opened(bijie, f"landslide/i{number}")[1] for number in (0, 3))
    there, here = shared(one.shape, other.shape, 8, 0)
    ignored = int((one[there] != other[here]).sum())
    assert ignored > 0
    strict, agreed = (sum(vars(found.protocols[name].confusion).values()) for name in ("strict", "strict-agreed"))
    assert strict - agreed == ignored
    left_out = replace(job, data=replace(job.data, contested="ignored"))
    strictly = judge(left_out, 1).protocols
    assert "strict-agreed" not in strictly
    assert strictly["strict"].confusion == found.protocols["strict-agreed"].confusion
