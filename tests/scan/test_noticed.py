"""What a plan says beforehand of blocks that are so small beside the patch that much is predicted twice."""

from __future__ import annotations

import re

import pytest
import shapely
from helpers.madescene import SCENE

from landslide_scale.cube.settings import GridConfig
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.noticed import FEW, REPEATED, repeated
from landslide_scale.scan.plan import Plan, make
from landslide_scale.scene import Window, utc

WINDOW = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))


def planned(block: int, patch: int, side: float = 1.5, halo: int = 16) -> Plan:
    return make(
        region=shapely.box(14, 46, 14 + side, 46 + side),
        windows=(WINDOW,),
        scenes=[SCENE],
        grid=GridConfig(resolution=10, block=block, chunk=block),
        composite=CompositeConfig(),
        patches=PatchLattice(patch=patch, halo=halo),
    )


@pytest.mark.parametrize(("block", "patch"), [(2048, 112), (8192, 448)])
def test_blocks_that_are_large_beside_the_patch_are_not_spoken_of(block: int, patch: int):
    assert repeated(planned(block, patch)) == []


@pytest.mark.parametrize(("block", "patch"), [(512, 112), (2048, 256), (512, 160), (2048, 160)])
def test_small_ones_are_said_with_a_size_at_which_they_would_be_large(block: int, patch: int):
    (line,) = repeated(planned(block, patch))
    larger = int(re.search(r"grid\.block: (\d+)", line)[1])
    lattice = PatchLattice(patch=patch, halo=16)
    assert larger % block == 0
    assert lattice.repeats(larger) <= REPEATED < lattice.repeats(larger - block)
    assert f"{lattice.repeats(block):.2f} times" in line


@pytest.mark.parametrize(("block", "patch"), [(256, 1280), (2048, 448), (512, 448)])
def test_where_no_block_is_large_enough_none_is_named(block: int, patch: int):
    """At 8192 px it would be for a patch of 448: more than is surely read of a scene's band within one try."""
    (line,) = repeated(planned(block, patch))
    assert "grid.block:" not in line
    assert line.endswith("no grid.block up to 4096 px avoids it")


def test_a_block_alone_or_shown_to_no_network_has_no_patch_twice():
    assert repeated(planned(8192, 16, side=0.3, halo=4)) == []
    assert planned(8192, 16, side=0.3, halo=4).patch_count * 16**2 > FEW
    assert repeated(planned(128, 128, side=0.5, halo=0)) == []
    assert planned(128, 128, side=0.5, halo=0).patch_count > 1000


def test_few_patches_of_a_large_network_are_worth_a_word_where_as_many_of_a_small_one_are_not():
    small, large = planned(512, 112, side=0.2), planned(512, 448, side=0.4)
    assert small.patch_count > large.patch_count
    assert repeated(small) == []
    assert len(repeated(large)) == 1


def test_of_a_small_scan_it_is_not_worth_a_word():
    assert repeated(planned(512, 112, side=0.2)) == []
