from pathlib import Path

import pytest

from landslide_scale.demo.ground.frame import Frame
from landslide_scale.demo.satellite.passes import PASSES
from landslide_scale.demo.world import World, WorldSpec, make_world

SMALL = Frame(left=728_160, top=5_106_240, width_m=7_200, height_m=4_800)
"""Ground on both sides of the zone border, on two tiles of the one zone and the other."""


def small_spec(seed: int = 7) -> WorldSpec:
    return WorldSpec(frame=SMALL, passes=(PASSES[2], PASSES[4]), seed=seed)


@pytest.fixture(scope="session")
def frame() -> Frame:
    return SMALL


@pytest.fixture(scope="session")
def spec() -> WorldSpec:
    return small_spec()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, spec: WorldSpec) -> World:
    return make_world(Path(tmp_path_factory.mktemp("world")), spec, progress=lambda _: None)
