"""What loses its plants beside landslides: as much as is said, where it is said, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from landslide_scale.demo.ground.cover import CROPS, FIELD_SLOPE, Classes, Cover, make_cover
from landslide_scale.demo.ground.frame import FINE_M, Frame
from landslide_scale.demo.ground.losses import Losses, lose
from landslide_scale.demo.ground.parcels import make_parcels, redrawn
from landslide_scale.demo.ground.spectra import BANDS, SCAR, reflectance_table
from landslide_scale.demo.ground.terrain import Terrain, make_terrain
from landslide_scale.demo.satellite.passes import EVENT
from landslide_scale.demo.world import WorldSpec

FRAME = Frame(left=723_000, top=5_109_840, width_m=9_600, height_m=9_600)
KM2 = FINE_M**2 / 1e6
NO_LOSSES = Losses(felled_per_km2=0, burnt_share=0, hill_share=0)


@dataclass(frozen=True, kw_only=True)
class Year:
    """Cover without losses, and with them before and after the year."""

    plain: Classes
    before: Classes
    after: Classes


@pytest.fixture(scope="module")
def terrain() -> Terrain:
    return make_terrain(FRAME, 3)


@pytest.fixture(scope="module")
def plain(terrain: Terrain) -> Classes:
    return make_cover(FRAME, terrain, 3)


def year(plain: Classes, terrain: Terrain, losses: Losses) -> Year:
    after = plain.copy()
    return Year(plain=plain, before=lose(after, FRAME, terrain, 3, losses), after=after)


def km2(mask: NDArray[np.bool_]) -> float:
    return float(mask.sum()) * KM2


def test_forest_is_felled_at_the_stated_rate_in_rectangles(plain: Classes, terrain: Terrain):
    made = year(plain, terrain, replace(NO_LOSSES, felled_per_km2=2.0))
    felled = (made.after == Cover.CLEARCUT) & (plain != Cover.CLEARCUT)
    assert (made.before[felled] <= Cover.BROADLEAF).all()
    forest = km2(plain <= Cover.BROADLEAF)
    assert 0.5 < km2(felled) / (2.0 * forest * 0.0109) < 1.1  # edges of the forest are not forest
    outlines, count = ndimage.label(felled)
    filled = [outlines[part] == number + 1 for number, part in enumerate(ndimage.find_objects(outlines))]
    assert count > 20
    assert max(one.sum() * FINE_M**2 for one in filled) < 3 * 210 * 106  # few overlap


def test_fires_burn_the_stated_share_of_what_is_wild(plain: Classes, terrain: Terrain):
    made = year(plain, terrain, replace(NO_LOSSES, burnt_share=0.05, burnt_m2=50_000))
    burnt = made.after == Cover.BURNT
    assert not (made.before == Cover.BURNT).any()
    assert (plain[burnt] <= Cover.SHRUB).all()
    assert 0.25 < km2(burnt) / (0.05 * FRAME.area_km2) < 1.75
    lost = reflectance_table(EVENT)[Cover.BURNT]
    assert (lost[:4] < np.array(SCAR)[:4] / 2).sum() >= 3  # black, where a scar is bright
    assert lost[BANDS.index("nir")] < reflectance_table(EVENT)[Cover.CONIFER, BANDS.index("nir")] / 2


def test_hills_are_farmed_as_far_as_is_stated_on_gentle_slopes_alone(plain: Classes, terrain: Terrain):
    made = year(plain, terrain, replace(NO_LOSSES, hill_share=0.25))
    was, field = np.isin(plain, CROPS), np.isin(made.after, CROPS)
    hill = field & ~was
    edges = make_parcels(FRAME, 3).edge
    assert 0.2 < km2(hill) / km2(was) < 0.3
    slope = terrain.slope.repeat(2, axis=0).repeat(2, axis=1)[hill]
    assert (slope.min(), slope.max()) >= (FIELD_SLOPE, FIELD_SLOPE)
    assert slope.max() < 20
    assert (plain[hill] <= Cover.SHRUB).all()
    assert not hill[edges].any()


def test_what_grows_is_drawn_anew_by_the_same_shares_and_nothing_else_changes(plain: Classes, terrain: Terrain):
    made = year(plain, terrain, NO_LOSSES)
    np.testing.assert_array_equal(made.after, plain)
    fields = np.isin(plain, CROPS)
    np.testing.assert_array_equal(made.before[~fields], plain[~fields])
    for crop in CROPS:
        before, after = (float((one[fields] == crop).mean()) for one in (made.before, made.after))
        assert abs(before - after) < 0.06
        again = float((made.before[fields & (plain == crop)] == crop).mean())
        assert abs(again - before) < 0.12  # one year tells nothing of the next


def test_another_year_of_a_parcel_is_one_number_that_the_first_does_not_tell():
    draw = make_parcels(FRAME, 3).draw
    other = redrawn(draw)
    assert ((other >= 0) & (other < 1)).all()
    pairs = {*zip(draw.ravel().tolist(), other.ravel().tolist(), strict=True)}
    assert len(pairs) == len({one for one, _ in pairs})
    assert abs(np.corrcoef(np.array(sorted(pairs)).T)[0, 1]) < 0.05


def test_a_world_without_losses_is_the_one_that_was_there_before_there_were_any():
    assert WorldSpec().digest == "3d424b3bb474d0b80be30f046945e94475e9fc77af8cab4b9cb0a96303610635"
    assert WorldSpec(losses=Losses()).digest != WorldSpec().digest
    assert WorldSpec(losses=replace(Losses(), hill_share=0.2)).digest != WorldSpec(losses=Losses()).digest
