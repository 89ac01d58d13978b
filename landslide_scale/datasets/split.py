"""Which images are trained on, chosen by, and scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landslide_scale.datasets.landslide4sense import PARTS
from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from landslide_scale.datasets.sample import Found
    from landslide_scale.datasets.spec import DataSpec

_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class Split:
    """Names of images, sorted, each in one part.

    Attributes:
        train: Learnt from.
        validation: Epoch, threshold and temperature are chosen on them.
        holdout: Scored once, at the end.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    holdout: tuple[str, ...]


def partition(found: Mapping[str, Found], data: DataSpec, *, seed: int, holdout: float, validation: float) -> Split:
    """Split as the data set's settings say: as published, or as :func:`split` does.

    Raises:
        InvalidDatasetError: A part would have no landslide to be judged by.
    """
    return (
        official(found) if data.split == "official" else split(found, seed=seed, holdout=holdout, validation=validation)
    )


def official(found: Mapping[str, Found]) -> Split:
    """The parts of Landslide4Sense as published: each image's is the first part of its name.

    Raises:
        InvalidDatasetError: No image of a part shows a landslide.
    """
    parts = [tuple(sorted(name for name in found if name.startswith(f"{part}/"))) for part in PARTS]
    for part, names in zip(PARTS, parts, strict=True):
        if not any(found[name].landslide for name in names):
            raise InvalidDatasetError(
                f"none of {len(names)} images of {part} shows a landslide",
                expected="at least one in each part",
                cure="Look whether these are the published masks.",
            )
    train, validation, holdout = parts
    return Split(train=train, validation=validation, holdout=holdout)


def split(found: Mapping[str, Found], *, seed: int, holdout: float, validation: float) -> Split:
    """Split by hash of seed and name: independent of the file system's order and of any library's random numbers.

    Images with and without landslides are split apart, so that each part has landslides to be judged by; the share
    `holdout` of each goes to the holdout, and `validation` of what is left to the validation part.

    Raises:
        InvalidDatasetError: Fewer than three images show a landslide.
    """
    positive = [name for name, image in found.items() if image.landslide]
    negative = [name for name, image in found.items() if not image.landslide]
    if len(positive) < _FEWEST:
        raise InvalidDatasetError(
            f"{len(positive)} of {len(found)} images show a landslide",
            expected=f"at least {_FEWEST}: one to train on, one to choose by, one to score",
        )
    shares = {"holdout": holdout, "validation": validation}
    parts = zip(_cut(positive, seed, least=1, **shares), _cut(negative, seed, least=0, **shares), strict=True)
    learnt, chosen_by, held = (tuple(sorted((*a, *b))) for a, b in parts)
    return Split(train=learnt, validation=chosen_by, holdout=held)


def _cut(
    names: Sequence[str], seed: int, *, holdout: float, validation: float, least: int
) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and holdout names; each has `least` at least."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    held = min(max(round(len(ordered) * holdout), least), len(ordered) - 2 * least)
    chosen_by = min(max(round((len(ordered) - held) * validation), least), len(ordered) - held - least)
    return ordered[held + chosen_by :], ordered[held : held + chosen_by], ordered[:held]
