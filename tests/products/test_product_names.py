"""Where products lie."""

from __future__ import annotations

from dataclasses import replace

from helpers.cubes import AFTER, Made

from landslide_scale.products import names


def test_a_window_and_the_same_season_of_several_years_lie_apart():
    lattice = Made().lattice(33)
    alone, seasons = (names.raster(lattice, one, "probability") for one in (AFTER, replace(AFTER, years=3)))
    assert alone == "cog/EPSG_32633/20230701_20230801/probability.tif"
    assert seasons == "cog/EPSG_32633/20230701_20230801_3years/probability.tif"
