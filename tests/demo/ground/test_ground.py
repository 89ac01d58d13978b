import numpy as np
import pytest

from landslide_scale.bands import Scl
from landslide_scale.demo.ground.canvas import block_mean
from landslide_scale.demo.ground.cover import Classes, Cover, bilinear_twice, make_cover
from landslide_scale.demo.ground.drainage import route, upstream
from landslide_scale.demo.ground.frame import FINE_M, Frame
from landslide_scale.demo.ground.light import illumination
from landslide_scale.demo.ground.lookalikes import cut_forest, cut_quarries, lay_roads
from landslide_scale.demo.ground.noise import fractal, rank, stream
from landslide_scale.demo.ground.spectra import SCAR, reflectance_table
from landslide_scale.demo.ground.terrain import Terrain, make_terrain
from landslide_scale.demo.satellite.atmosphere import Sky, classify, make_sky, through_sky
from landslide_scale.demo.satellite.passes import PASSES


@pytest.fixture(scope="module")
def terrain(frame: Frame) -> Terrain:
    return make_terrain(frame, 7)


@pytest.fixture(scope="module")
def cover(frame: Frame, terrain: Terrain) -> Classes:
    made = make_cover(frame, terrain, 7)
    cut_quarries(made, frame, terrain, 7)
    cut_forest(made, frame, terrain, 7)
    return made


def test_all_water_reaches_an_outlet_and_none_is_lost():
    height = fractal(stream(1, "x"), (40, 60), longest=20).astype(np.float64)
    outlet = np.zeros(height.shape, dtype=bool)
    outlet[-1] = True
    receiver, order = route(height, outlet)
    assert sorted(order.tolist()) == list(range(height.size))
    area = upstream(receiver, order, 10.0)
    assert area[outlet.ravel()].sum() == pytest.approx(height.size * 100.0)


def test_there_is_steep_and_level_ground(terrain: Terrain):
    assert (terrain.slope > 28).mean() > 0.1
    assert (terrain.slope < 6).mean() > 0.05
    assert terrain.slope.max() < 65


def test_fields_and_water_lie_on_level_ground_and_clear_cuts_do_not(terrain: Terrain, cover: Classes):
    slope = bilinear_twice(terrain.slope)
    assert np.percentile(slope[cover == Cover.PLOUGHED], 90) < 9
    assert np.median(slope[cover == Cover.WATER]) < 4
    assert np.median(slope[cover == Cover.CLEARCUT]) > 8


def test_every_lookalike_is_there_and_shares_the_spectrum_of_scars(frame: Frame, terrain: Terrain, cover: Classes):
    paved, track = lay_roads(cover, frame, terrain, 7)
    assert paved.shape == track.shape == frame.shape(FINE_M)
    assert 0 <= track.min() <= track.max() <= 1
    table = reflectance_table(PASSES[4].sensed.date())
    for name in (Cover.GRAVEL, Cover.QUARRY, Cover.PLOUGHED, Cover.CLEARCUT):
        assert (cover == name).any(), name
        assert np.abs(table[name] - SCAR).max() < 0.06, name
    assert np.abs(table[Cover.TRACK] - SCAR).max() < 0.02


def test_light_comes_from_the_sun(terrain: Terrain):
    east, _ = illumination(terrain.height, azimuth=90.0, elevation=45.0)
    west, _ = illumination(terrain.height, azimuth=270.0, elevation=45.0)
    rising_east = np.gradient(terrain.height, axis=1) > 2
    assert west[rising_east].mean() > east[rising_east].mean() + 0.2


def test_a_wall_casts_a_shadow_away_from_the_sun():
    height = np.zeros((80, 80), dtype=np.float32)
    height[:, 40:42] = 100.0
    light, shadow = illumination(height, azimuth=90.0, elevation=45.0)
    assert shadow[40, 34] > 0.5  # the sun stands in the east, so the west side is dark
    assert shadow[40, 48] == 0.0
    assert light[40, 34] < 0.3
    assert light[40, 10] == pytest.approx(1.0)


def test_cloud_shadow_falls_away_from_the_sun():
    sky = make_sky(stream(3, "sky"), (300, 300), cover=0.1, azimuth=180.0, elevation=45.0, haze=0.0)
    assert sky.cloud.mean() == pytest.approx(0.1, abs=0.08)
    rows = np.arange(300)[:, None]
    north_of = (sky.cloud * rows).sum() / sky.cloud.sum() - (sky.shadow * rows).sum() / sky.shadow.sum()
    assert north_of > 0 or sky.shadow.sum() < sky.cloud.sum()


def test_the_classification_sees_thick_cloud_and_misses_its_thin_rim():
    cloud = np.array([[0.0, 0.05, 0.5, 0.9]], dtype=np.float32)
    none = np.zeros_like(cloud)
    sky = Sky(cloud=cloud, shadow=none, haze=0.0)
    forest = np.zeros(cloud.shape, dtype=np.uint8)
    scl = classify(forest, none, sky, none, np.zeros(cloud.shape, dtype=bool))
    assert scl.tolist() == [[Scl.VEGETATION, Scl.VEGETATION, Scl.CLOUD_MEDIUM, Scl.CLOUD_HIGH]]
    seen = through_sky(np.full(cloud.shape, 0.02, dtype=np.float32), "blue", sky)
    assert (np.diff(seen[0]) > 0).all()


def test_a_mistaken_scar_is_called_cloud():
    none = np.zeros((1, 2), dtype=np.float32)
    sky = Sky(cloud=none, shadow=none, haze=0.0)
    scl = classify(np.zeros((1, 2), np.uint8), none + 1, sky, none, np.array([[True, False]]))
    assert scl.tolist() == [[Scl.CLOUD_MEDIUM, Scl.BARE]]


def test_rank_keeps_the_share_asked_for():
    field = fractal(stream(4, "rank"), (200, 300), longest=50)
    assert (rank(field) > 0.9).mean() == pytest.approx(0.1, abs=0.002)


def test_named_streams_do_not_disturb_each_other():
    assert stream(1, "a").random() == stream(1, "a").random()
    assert stream(1, "a").random() != stream(1, "b").random()
    assert stream(1, "a").random() != stream(2, "a").random()


def test_averages_and_refinement_keep_the_mean():
    values = fractal(stream(5, "mean"), (8, 12), longest=4)
    assert block_mean(bilinear_twice(values), 2).mean() == pytest.approx(values.mean(), abs=0.02)
    assert block_mean(np.array([[True, False], [False, False]]), 2).tolist() == [[0.25]]
