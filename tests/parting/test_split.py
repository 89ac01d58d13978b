from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.datasets import Found
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.parting import split
from landslide_scale.training.spec import TrainSpec

SPEC = TrainSpec()


def images(positive: int, negative: int = 0) -> dict[str, Found]:
    marks = [1] * positive + [0] * negative
    return {f"image{n:04d}": Found(height=8, width=8, landslide=mark, counted=64) for n, mark in enumerate(marks)}


@given(st.integers(3, 60), st.integers(0, 60), st.integers(0, 5), st.randoms(use_true_random=False))
def test_parts_partition_the_images_whatever_their_order(positive: int, negative: int, seed: int, random: Random):
    found = images(positive, negative)
    spec = TrainSpec(seed=seed)
    parts = split(found, **spec.shares)
    shuffled = list(found.items())
    random.shuffle(shuffled)
    assert split(dict(shuffled), **spec.shares) == parts
    assert sorted((*parts.train, *parts.validation, *parts.holdout)) == sorted(found)
    for part in (parts.train, parts.validation, parts.holdout):
        assert any(found[name].landslide for name in part)


def test_the_papers_fractions():
    parts = split(images(700, 300), **SPEC.shares)
    assert len(parts.holdout) == 300
    assert len(parts.validation) == 106  # 15 % of the other 490 and 210: 73.5 and 31.5, each rounded to even
    assert len(parts.train) == 594


def test_another_seed_is_another_split():
    assert split(images(50), **SPEC.shares) != split(images(50), **TrainSpec(seed=1).shares)


def test_the_split_is_pinned():
    """Published with every run, so it must not change with a version of anything."""
    assert split(images(6), **SPEC.shares).holdout == ("image0000", "image0002")


def test_too_few_images_are_refused():
    with pytest.raises(InvalidDatasetError, match="2 of 7 images show a landslide; expected at least 3"):
        split(images(2, 5), **SPEC.shares)


@given(st.lists(st.integers(1, 9), min_size=3, max_size=30), st.integers(0, 9), st.integers(0, 5))
def test_groups_stay_whole_and_parts_come_near_their_shares(sizes: list[int], empty: int, seed: int):
    names = [(group, f"g{group:02d}i{number}") for group, size in enumerate(sizes) for number in range(size)]
    names += [(len(sizes) + number, f"z{number}") for number in range(empty)]
    found = {name: Found(height=8, width=8, landslide=int(group < len(sizes)), counted=64) for group, name in names}
    groups = {name: f"g{group:02d}i0" if group < len(sizes) else name for group, name in names}
    parts = split(found, groups, seed=seed, holdout=0.3, validation=0.15)
    held = [{groups[name] for name in part} for part in (parts.train, parts.validation, parts.holdout)]
    assert sum(map(len, held)) == len(set(groups.values()))
    assert sorted((*parts.train, *parts.validation, *parts.holdout)) == sorted(found)
    for part in (parts.train, parts.validation, parts.holdout):
        assert any(found[name].landslide for name in part)
    if len(sizes) >= 12:
        assert abs(len(parts.holdout) - 0.3 * len(found)) <= max(sizes) + 1
