import numpy as np
import pytest
import shapely
from scipy import stats

from landslide_scale.demo.ground.frame import CELL_M, Frame
from landslide_scale.demo.ground.scars import (
    A_M2,
    LARGEST_M2,
    RHO,
    S_M2,
    SMALLEST_M2,
    START_SLOPE,
    Scar,
    draw_areas,
    make_scars,
)
from landslide_scale.demo.ground.terrain import Terrain, make_terrain
from landslide_scale.demo.world import regions
from landslide_scale.errors import BrokenRunError, InvalidInputError


@pytest.fixture(scope="module")
def terrain(frame: Frame) -> Terrain:
    return make_terrain(frame, 7)


@pytest.fixture(scope="module")
def scars(frame: Frame, terrain: Terrain) -> list[Scar]:
    return make_scars(frame, terrain, regions(frame), seed=7, share=0.018, old=0.2)


def test_drawn_areas_follow_the_inverse_gamma_law():
    areas = draw_areas(np.random.default_rng(1), 1e8)
    law = stats.invgamma(RHO, loc=S_M2, scale=A_M2)
    low, high = law.cdf(SMALLEST_M2), law.cdf(LARGEST_M2)
    assert len(areas) > 3000
    assert stats.kstest(areas, lambda x: (law.cdf(x) - low) / (high - low)).pvalue > 0.01


def test_the_law_is_that_of_equation_3():
    """p(A) = [a / (A - s)] ** (rho + 1) exp(-a / (A - s)) / (a Gamma(rho)), its mode near 400 m2."""
    law = stats.invgamma(RHO, loc=S_M2, scale=A_M2)
    assert pytest.approx(401, abs=1) == A_M2 / (RHO + 1) + S_M2
    assert law.mean() == pytest.approx(3070, rel=0.01)


def test_drawn_areas_fit_and_no_room_at_all_is_refused():
    assert draw_areas(np.random.default_rng(2), 1e6).sum() <= 1e6
    with pytest.raises(InvalidInputError):
        draw_areas(np.random.default_rng(2), 10.0)


def test_scars_start_on_steep_ground(frame: Frame, scars: list[Scar], terrain: Terrain):
    assert all(terrain.slope[_cell(frame, scar.path[0])] >= START_SLOPE for scar in scars)


def test_scars_run_downhill(frame: Frame, scars: list[Scar], terrain: Terrain):
    drops = np.array(
        [terrain.height[_cell(frame, s.path[0])] - terrain.height[_cell(frame, s.path[-1])] for s in scars]
    )
    lengths = np.array([np.hypot(*(s.path[-1] - s.path[0])) for s in scars])
    assert (drops > 0).all()
    assert np.median(drops / lengths) > np.tan(np.radians(20))


def _cell(frame: Frame, point: np.ndarray) -> tuple[int, int]:
    return int((frame.top - point[1]) / CELL_M), int((point[0] - frame.left) / CELL_M)


def test_scars_have_the_area_drawn_are_long_and_keep_apart(scars: list[Scar]):
    outlines = np.array([scar.outline for scar in scars])
    assert all(SMALLEST_M2 * 0.999 <= o.area <= LARGEST_M2 * 1.001 for o in outlines)
    boxes = [shapely.minimum_rotated_rectangle(o) for o in outlines]
    sides = [sorted(shapely.length(shapely.LineString(b.exterior.coords[i : i + 2])) for i in (0, 1)) for b in boxes]
    assert np.median([long / short for short, long in sides]) > 2.5
    first, second = shapely.STRtree(outlines).query(outlines, predicate="overlaps")
    assert len(first) == len(second) == 0


def test_ground_without_room_says_so(frame: Frame, terrain: Terrain):
    nowhere = {"west": shapely.box(frame.left, frame.top - 400, frame.left + 400, frame.top)}
    with pytest.raises(BrokenRunError, match="room"):
        make_scars(frame, terrain, nowhere, seed=7, share=0.9, old=0.2)
