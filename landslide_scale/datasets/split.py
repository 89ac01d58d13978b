"""Which images are trained on, chosen by, and scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from landslide_scale.datasets.sample import Found
    from landslide_scale.spec import TrainSpec

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


def split(found: Mapping[str, Found], spec: TrainSpec) -> Split:
    """Split by hash of seed and name: independent of the file system's order and of any library's random numbers.

    Images with and without landslides are split apart, so that each part has landslides to be judged by; `holdout` of
    each go to the holdout, and `validation` of what is left to the validation part.

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
    parts = zip(_cut(positive, spec, least=1), _cut(negative, spec, least=0), strict=True)
    train, validation, holdout = (tuple(sorted((*a, *b))) for a, b in parts)
    return Split(train=train, validation=validation, holdout=holdout)


def _cut(names: Sequence[str], spec: TrainSpec, *, least: int) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and holdout names; each has `least` at least."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(f"{spec.seed}\0{name}".encode()).digest())
    held = min(max(round(len(ordered) * spec.holdout), least), len(ordered) - 2 * least)
    chosen_by = min(max(round((len(ordered) - held) * spec.validation), least), len(ordered) - held - least)
    return ordered[held + chosen_by :], ordered[held : held + chosen_by], ordered[:held]
