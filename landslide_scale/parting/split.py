"""Which images are trained on, chosen by, and scored: whole groups of them, each in one part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landslide_scale.datasets.landslide4sense import PARTS
from landslide_scale.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from landslide_scale.datasets import Found
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


def partition(
    found: Mapping[str, Found],
    data: DataSpec,
    groups: Mapping[str, str] | None = None,
    *,
    seed: int,
    holdout: float,
    validation: float,
) -> Split:
    """Split as the data set's settings say: as published, by inventory, or as :func:`split` does.

    Args:
        found: The images.
        data: The settings; with ``groups`` ``images`` each image is drawn by itself.
        groups: The ground of each, as :func:`landslide_scale.parting.grouped` gives it; not heeded where parts are as
            published or by inventory.
        seed: Of the hash.
        holdout: Share that is scored.
        validation: Share of the others that is chosen by.

    Raises:
        InvalidDatasetError: A part would have no landslide to be judged by.
    """
    if data.split == "official":
        return official(found)
    shares = {"holdout": holdout, "validation": validation}
    if data.split == "inventory":
        return by_inventory(found, data.hold_out, seed=seed, **shares)
    return split(found, None if data.groups == "images" else groups, seed=seed, **shares)


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


def split(
    found: Mapping[str, Found],
    groups: Mapping[str, str] | None = None,
    *,
    seed: int,
    holdout: float,
    validation: float,
) -> Split:
    """Split by hash of seed and group: independent of the file system's order and of any library's random numbers.

    Groups with and without landslides are split apart, so that each part has landslides to be judged by; the share
    `holdout` of the images of each goes to the holdout, and `validation` of what is left to the validation part, as
    nearly as whole groups allow.

    Args:
        found: The images.
        groups: The group of each, by the name of one of its images; None: each image is one.
        seed: Of the hash.
        holdout: Share of images that is scored.
        validation: Share of the others that is chosen by.

    Raises:
        InvalidDatasetError: Fewer than three groups show a landslide.
    """
    groups = groups or {name: name for name in found}
    images: dict[str, list[str]] = {}
    for name in found:
        images.setdefault(groups[name], []).append(name)
    positive = {group: names for group, names in images.items() if any(found[name].landslide for name in names)}
    negative = {group: names for group, names in images.items() if group not in positive}
    _check_groups(found, images, positive)
    shares = {"holdout": holdout, "validation": validation}
    parts = zip(_dealt(positive, seed, least=1, **shares), _dealt(negative, seed, least=0, **shares), strict=True)
    learnt, chosen_by, held = (tuple(sorted((*a, *b))) for a, b in parts)
    return Split(train=learnt, validation=chosen_by, holdout=held)


def _check_groups(
    found: Mapping[str, Found], images: Mapping[str, Sequence[str]], positive: Mapping[str, Sequence[str]]
) -> None:
    """Make sure that there is ground with landslides for each part."""
    if len(positive) >= _FEWEST:
        return
    showing = sum(image.landslide > 0 for image in found.values())
    expected = f"at least {_FEWEST}: one to train on, one to choose by, one to score"
    if showing < _FEWEST or len(images) == len(found):
        raise InvalidDatasetError(f"{showing} of {len(found)} images show a landslide", expected=expected)
    raise InvalidDatasetError(
        f"{len(positive)} places with landslides, for all that {showing} of {len(found)} images show one: the others "
        "show the same ground or the same landslide as these",
        expected=expected,
        cure="Label ground elsewhere too, or say what lies together by dataset.block_m (group_column, group_pattern), "
        "which divides landslides; with dataset.groups: images the same ground is learnt from and scored.",
    )


def _dealt(
    images: Mapping[str, Sequence[str]], seed: int, *, holdout: float, validation: float, least: int
) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and holdout images of whole groups; each part has `least` groups at least."""
    total = sum(len(names) for names in images.values())
    ordered = _drawn(list(images), seed)
    held = _filled(images, ordered, round(total * holdout), least=least, left=2 * least)
    rest = [group for group in ordered if group not in held]
    left = total - sum(len(images[group]) for group in held)
    chosen_by = _filled(images, rest, round(left * validation), least=least, left=least)
    learnt = [group for group in rest if group not in chosen_by]
    train, validated, scored = (
        [name for group in part for name in images[group]] for part in (learnt, chosen_by, held)
    )
    return train, validated, scored


def _filled(
    images: Mapping[str, Sequence[str]], ordered: Sequence[str], wanted: int, *, least: int, left: int
) -> list[str]:
    """Groups in order, each where it brings the images taken nearer to what is wanted.

    Args:
        images: Of each group.
        ordered: The groups.
        wanted: Images.
        least: Groups that are taken at any rate; the smallest where none fits.
        left: Groups that are left at least.
    """
    taken: list[str] = []
    count = 0
    for group in ordered:
        if len(ordered) - len(taken) > left and len(images[group]) < 2 * (wanted - count):
            taken.append(group)
            count += len(images[group])
    if len(taken) < least:
        taken.append(min(ordered, key=lambda group: len(images[group])))
    return taken


def by_inventory(
    found: Mapping[str, Found], hold_out: Sequence[str] = (), *, seed: int, holdout: float, validation: float
) -> Split:
    """Split whole inventories as :func:`split` does images: shares are of their number, whatever their sizes.

    Args:
        found: The images.
        hold_out: Inventories that are scored; none: drawn by `seed`, as those chosen by are.
        seed: Of the hash.
        holdout: Share of the inventories that is scored, where none is named.
        validation: Share of the others that is chosen by.

    Raises:
        InvalidDatasetError: Images without one, too few inventories with landslides, or one named that is not there.
    """
    images = _by_inventory(found)
    showing = [one for one, names in images.items() if any(found[name].landslide for name in names)]
    rest = [one for one in showing if one not in hold_out]
    _check_inventories(showing, rest, hold_out)
    if hold_out:
        ordered = _drawn(rest, seed)
        count = min(max(round(len(ordered) * validation), 1), len(ordered) - 1)
        learnt, chosen_by, held = ordered[count:], ordered[:count], list(hold_out)
    else:
        learnt, chosen_by, held = _cut(rest, seed, holdout=holdout, validation=validation, least=1)
    learnt += [one for one in images if one not in showing]
    train, validated, scored = (
        tuple(sorted(name for one in part for name in images[one])) for part in (learnt, chosen_by, held)
    )
    return Split(train=train, validation=validated, holdout=scored)


def _by_inventory(found: Mapping[str, Found]) -> dict[str, list[str]]:
    """Names of images, by the inventory of their labels."""
    images: dict[str, list[str]] = {}
    for name, image in sorted(found.items()):
        if image.inventory is None:
            raise InvalidDatasetError(
                f"{name}, whose inventory nobody says",
                expected="chips that `landslide-scale import` made",
                cure="Leave dataset.split out.",
            )
        images.setdefault(image.inventory, []).append(name)
    return images


def _check_inventories(showing: Sequence[str], rest: Sequence[str], hold_out: Sequence[str]) -> None:
    """Make sure that those named are there, and that enough others show a landslide."""
    if unknown := sorted(set(hold_out) - set(showing)):
        raise InvalidDatasetError(
            f"dataset.hold_out {unknown}", expected=f"inventories with landslides: {', '.join(sorted(showing))}"
        )
    fewest = _FEWEST - bool(hold_out)
    if len(rest) < fewest:
        raise InvalidDatasetError(
            f"{len(rest)} inventories with landslides ({', '.join(sorted(rest))}) beside those of dataset.hold_out",
            expected=f"at least {fewest}: one to train on, one to choose by{'' if hold_out else ', one to score'}",
        )


def _cut(
    names: Sequence[str], seed: int, *, holdout: float, validation: float, least: int
) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and holdout names; each has `least` at least."""
    ordered = _drawn(names, seed)
    held = min(max(round(len(ordered) * holdout), least), len(ordered) - 2 * least)
    chosen_by = min(max(round((len(ordered) - held) * validation), least), len(ordered) - held - least)
    return ordered[held + chosen_by :], ordered[held : held + chosen_by], ordered[:held]


def _drawn(names: Sequence[str], seed: int) -> list[str]:
    """In an order by hash of seed and name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
