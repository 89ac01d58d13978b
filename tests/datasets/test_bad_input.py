"""What bad input gets: an error that names file and reason, exit code 2, before anything is trained or written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from landslide_scale.datasets.landslide4sense import UNITS
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.runtime.console import run_guarded
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.spec import TrainSpec

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)
SIDE = 16


def write_h5(path: Path, key: str, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[key] = values


def write_part(root: Path, count: int = 4) -> Path:
    for number in range(1, count + 1):
        write_h5(
            root / "img" / f"image_{number}.h5",
            "img",
            np.random.default_rng(number).integers(1, 9999, (SIDE, SIDE, 14)) / UNITS,
        )
        write_h5(root / "mask" / f"mask_{number}.h5", "mask", np.eye(SIDE, dtype=np.uint8))
    return root


def write_pairs(root: Path, count: int = 5) -> Path:
    for number in range(count):
        for folder, shape in (("image", (20, 30, 3)), ("mask", (20, 30))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng(number).integers(0, 2, shape, dtype=np.uint8) * 255
            Image.fromarray(values).save(root / folder / f"p{number}.png")
    return root


def write_official(root: Path) -> Path:
    for part in ("TrainData", "ValidData", "TestData"):
        write_part(root / part)
    return root


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def blank_masks(folder: Path) -> None:
    for path in folder.iterdir():
        write_h5(path, "mask", np.zeros((SIDE, SIDE), np.uint8))


def remove(folder: Path) -> None:
    empty(folder)
    folder.rmdir()


def prepared(data: DataSpec, run: Path) -> int:
    radiometry = "toa" if data.kind == "landslide4sense" else "rgb8"
    job = FinetuneJob(
        data=data,
        model=MODEL,
        inputs=InputSpec.for_bands(radiometry, MODEL.bands),
        train=TrainSpec(patch=SIDE),
        output=str(run),
    )
    return 0 if Prepared.of(job).split.holdout else 1


PAIRS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing mask": (lambda root: (root / "mask/p1.png").unlink(), "mask: nothing for 1 of 5 names (p1)"),
    "missing image": (lambda root: (root / "image/p1.png").unlink(), "image: nothing for 1 of 5 names (p1)"),
    "other size": (
        lambda root: Image.new("L", (30, 21)).save(root / "mask/p1.png"),
        "mask/p1.png: the mask is 30 x 21 px; expected 30 x 20 px",
    ),
    "other values": (
        lambda root: Image.new("L", (30, 20), 9).save(root / "mask/p1.png"),
        "mask/p1.png: mask values [9]; expected only [0, 255]",
    ),
    "truncated image": (lambda root: truncate(root / "image/p1.png"), "image/p1.png: cannot be decoded"),
    "truncated mask": (lambda root: truncate(root / "mask/p1.png"), "mask/p1.png: cannot be decoded"),
    "nothing": (lambda root: (empty(root / "image"), empty(root / "mask")), "image: no images"),
    "too few to split": (
        lambda root: [(root / kind / f"p{n}.png").unlink() for kind in ("image", "mask") for n in (1, 2, 3)],
        "2 of 2 images show a landslide; expected at least 3",
    ),
}

PART: dict[str, tuple[Callable[[Path], object], str]] = {
    "no key": (
        lambda root: write_h5(root / "img/image_2.h5", "image", np.zeros((SIDE, SIDE, 14))),
        "img/image_2.h5: keys ['image']; expected an array img",
    ),
    "no mask key": (
        lambda root: write_h5(root / "mask/mask_2.h5", "label", np.zeros((SIDE, SIDE))),
        "mask/mask_2.h5: keys ['label']; expected an array mask",
    ),
    "NaN": (
        lambda root: write_h5(root / "img/image_2.h5", "img", np.full((SIDE, SIDE, 14), np.nan)),
        "img/image_2.h5: img holds values that are no numbers",
    ),
    "NaN in mask": (
        lambda root: write_h5(root / "mask/mask_2.h5", "mask", np.full((SIDE, SIDE), np.nan)),
        "mask/mask_2.h5: mask values [nan]; expected 0 and 1",
    ),
    "other size": (
        lambda root: write_h5(root / "mask/mask_2.h5", "mask", np.zeros((SIDE, SIDE + 1), np.uint8)),
        "mask/mask_2.h5: mask (16, 17); expected (16, 16)",
    ),
    "missing mask": (lambda root: (root / "mask/mask_2.h5").unlink(), "mask: 1 of 4 files missing (mask_2.h5)"),
    "truncated": (lambda root: truncate(root / "mask/mask_2.h5"), "mask/mask_2.h5: cannot be read"),
}

WITHHELD = "ValidData/mask: 4 of 4 files missing (mask_1.h5, mask_2.h5, mask_3.h5)"
CURE = "The competition's release had no masks here"

OFFICIAL: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "no part": (lambda root: (root / "TestData").rename(root / "x"), ("TestData/img: no such folder",)),
    "no masks": (lambda root: remove(root / "ValidData/mask"), ("ValidData/mask: no such folder", CURE)),
    "masks withheld": (lambda root: empty(root / "ValidData/mask"), (WITHHELD, CURE)),
    "part without images": (
        lambda root: (empty(root / "TestData/img"), empty(root / "TestData/mask")),
        ("TestData/img: no images; expected image_N.h5",),
    ),
    "part without landslides": (
        lambda root: blank_masks(root / "TestData/mask"),
        ("none of 4 images of TestData shows a landslide; expected at least one in each part",),
    ),
    "broken file": (lambda root: truncate(root / "ValidData/img/image_3.h5"), ("ValidData/img/image_3.h5: cannot",)),
}


def refused(data: DataSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run_guarded(lambda: prepared(data, tmp_path / "run")) == 2
    assert not (tmp_path / "run").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize("case", PAIRS)
def test_bad_pairs_end_with_exit_code_2_and_name_the_file(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    damage, said = PAIRS[case]
    data = DataSpec(kind="pairs", path=str(write_pairs(tmp_path / "data")))
    assert prepared(data, tmp_path / "run") == 0
    damage(tmp_path / "data")
    error = refused(data, tmp_path, capsys)
    assert said in error
    assert str(tmp_path / "data") in error


@pytest.mark.parametrize("case", PART)
def test_a_bad_part_of_landslide4sense_ends_with_exit_code_2_and_names_the_file(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    damage, said = PART[case]
    data = DataSpec(kind="landslide4sense", path=str(write_part(tmp_path / "data")))
    assert prepared(data, tmp_path / "run") == 0
    damage(tmp_path / "data")
    assert f"{tmp_path / 'data'}/{said}" in refused(data, tmp_path, capsys)


@pytest.mark.parametrize("case", OFFICIAL)
def test_bad_official_parts_end_with_exit_code_2_and_name_the_folder(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    damage, said = OFFICIAL[case]
    data = DataSpec(kind="landslide4sense", path=str(write_official(tmp_path / "data")), split="official")
    assert prepared(data, tmp_path / "run") == 0
    damage(tmp_path / "data")
    error = refused(data, tmp_path, capsys)
    assert str(tmp_path / "data") in error
    assert all(text in error for text in said)
