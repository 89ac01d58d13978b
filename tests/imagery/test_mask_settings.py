"""Rules that are none, or can do nothing, are refused by the key that says so."""

from __future__ import annotations

from typing import Any

import pytest

from landslide_scale.errors import InvalidConfigError
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse

CLOUD = {"asset": "cloud", "threshold": 60}
OWN = {"asset": "fmask", "classes": [2], "reason": "cloud"}


def scan(catalog: dict[str, Any] | None = None, **composite: object) -> ScanConfig:
    content: dict[str, Any] = {
        "region": {"bbox": [14, 46, 15, 47]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "catalog": catalog or {},
        "composite": composite,
        "model": {"checkpoint": "model.safetensors"},
        "output": {"run": "run"},
    }
    return parse(ScanConfig, content)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"asset": "cloud"}], r"composite\.mask\.0\.classes: neither of classes and threshold"),
        ([CLOUD | {"classes": [1]}], r"composite\.mask\.0\.classes: both of classes and threshold"),
        ([{"asset": "cloud", "classes": [1]}], r"composite\.mask\.0\.classes: \[1\]; expected a threshold"),
        ([CLOUD | {"threshold": 101}], r"composite\.mask\.0\.threshold: 101; expected percent"),
        ([CLOUD | {"threshold": 0}], r"composite\.mask\.0\.threshold: found 0"),
        ([CLOUD | {"threshold": "60"}], r"composite\.mask\.0\.threshold: found .60"),
        ([CLOUD | {"grow_m": -1}], r"composite\.mask\.0\.grow_m: found -1"),
        ([CLOUD | {"grow_m": 2001}], r"composite\.mask\.0\.grow_m: found 2001"),
        ([CLOUD | {"grow": 100}], r"composite\.mask\.0\.grow: unknown"),
        ([CLOUD | {"reason": "observed"}], r"composite\.mask\.0\.reason: found"),
        (CLOUD, r"composite\.mask: found"),
        ([CLOUD, CLOUD], r"composite\.mask\.1\.threshold: 60 with grow_m 0, beside composite\.mask\.0"),
        ([CLOUD, CLOUD | {"threshold": 80}], r"composite\.mask\.1\.threshold: 80 with grow_m 0"),
        ([CLOUD | {"threshold": 80, "grow_m": 20}, CLOUD | {"grow_m": 20}], r"composite\.mask\.1\.threshold: 60"),
        ([{"asset": "scl", "threshold": 5}], r"composite\.mask\.0\.threshold: 5; expected classes"),
        ([{"asset": "scl", "classes": [12], "grow_m": 200}], r"composite\.mask\.0\.classes: \[12\]; expected scene cl"),
        ([{"asset": "scl", "classes": [0], "grow_m": 200}], r"composite\.mask\.0\.classes: \[0\]; expected scene cla"),
        ([{"asset": "scl", "classes": [5], "grow_m": 200}], r"composite\.mask\.0\.classes: \[5\], which composite\.cl"),
        ([{"asset": "scl", "classes": [9], "grow_m": 100}], r"composite\.mask\.0\.grow_m: 100 for \[9\], grown by 100"),
        ([{"asset": "scl", "classes": [7]}], r"composite\.mask\.0\.grow_m: 0 for \[7\], grown by 0"),
        ([{"asset": "scl", "classes": [9], "grow_m": 200, "reason": "cloud"}], r"composite\.mask\.0\.reason: cloud"),
        ([{"asset": "blue", "threshold": 3000, "reason": "cloud"}], r"composite\.mask\.0\.asset: blue; expected"),
        ([{"asset": "Fmask", "classes": [2]}], r"composite\.mask\.0\.asset: found"),
        ([OWN | {"reason": None}], r"composite\.mask\.0\.reason: none; expected why"),
        ([OWN | {"classes": [255]}], r"composite\.mask\.0\.classes\.0: found 255"),
        ([OWN | {"classes": []}], r"composite\.mask\.0\.classes: found"),
        ([OWN | {"classes": [2, 2]}], r"composite\.mask\.0\.classes: \[2, 2\]; expected each class once"),
        ([OWN, OWN | {"classes": [1, 2]}], r"composite\.mask\.1\.classes: \[2\], which composite\.mask\.0 has too"),
        (
            [OWN],
            r"composite\.mask\.0\.asset: fmask, which profile earth-search-c1 does not have; expected one of scl, c",
        ),
    ],
)
def test_a_rule_that_is_none_or_can_do_nothing_is_refused(rules: object, message: str):
    with pytest.raises(InvalidConfigError, match=message):
        scan(mask=rules)


@pytest.mark.parametrize("profile", ["earth-search-v1", "planetary-computer"])
def test_a_rule_whose_asset_the_profile_does_not_have_is_refused_with_those_it_has(profile: str):
    with pytest.raises(InvalidConfigError) as caught:
        scan({"profile": profile}, mask=[CLOUD])
    said = str(caught.value)
    assert f"composite.mask.0.asset: cloud, which profile {profile} does not have; expected one of scl" in said
    named = scan({"profile": profile, "assets": {"cloud": "CLD_20m"}}, mask=[CLOUD])
    assert named.catalog.asset_names["cloud"] == "CLD_20m"


@pytest.mark.parametrize("profile", ["earth-search-c1", "plain"])
def test_catalogues_that_have_probabilities_know_them(profile: str):
    catalog: dict[str, Any] = {"profile": profile} | ({"url": "https://stac.example"} if profile == "plain" else {})
    config = scan(catalog, mask=[CLOUD, {"asset": "snow", "threshold": 50, "grow_m": 20}])
    assert config.composite.assets == ("scl", "cloud", "snow")
    assert config.composite.reach_m == 100


def test_a_name_under_assets_that_nothing_reads_is_refused_there():
    with pytest.raises(InvalidConfigError, match=r"catalog\.assets: bleu, which is no band and which no rule"):
        scan({"assets": {"bleu": "B02"}})
    assert scan({"assets": {"fmask": "Fmask"}}, mask=[OWN]).composite.assets == ("scl", "fmask")
    assert scan({"assets": {"blue": "B02", "cloud": "CLD"}}).composite.assets == ("scl",)


def test_chips_are_asked_alike():
    content: dict[str, Any] = {
        "region": {"bbox": [14, 46, 15, 47]},
        "labels": {"file": "labels.geojson"},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "catalog": {"profile": "earth-search-v1"},
        "composite": {"mask": [CLOUD]},
        "directory": "chips",
    }
    with pytest.raises(InvalidConfigError, match=r"composite\.mask\.0\.asset: cloud, which profile earth-search-v1"):
        parse(ChipsConfig, content)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"classes": [4, 9]}, r"composite\.persistence\.classes: \[4\], which composite\.clear has too"),
        ({"classes": [12]}, r"composite\.persistence\.classes\.0: found 12"),
        ({"classes": []}, r"composite\.persistence\.classes: found"),
        ({"dates": 1}, r"composite\.persistence\.dates: found 1"),
        ({"dates": 3.5}, r"composite\.persistence\.dates: found 3\.5"),
        ({"around_m": 0}, r"composite\.persistence\.around_m: found 0"),
        ({"clear_share": 1.1}, r"composite\.persistence\.clear_share: found 1\.1"),
        ({"observe": "yes"}, r"composite\.persistence\.observe: found"),
        ({"grow_m": 5}, r"composite\.persistence\.grow_m: unknown"),
        (True, r"composite\.persistence: found"),
    ],
)
def test_a_test_of_persistence_that_is_none_is_refused(rule: object, message: str):
    with pytest.raises(InvalidConfigError, match=message):
        scan(persistence=rule)


def test_it_needs_a_class_that_is_not_clear():
    with pytest.raises(InvalidConfigError, match=r"composite\.persistence\.classes: none: all are clear"):
        scan(clear=[4, 5, 7, 8, 9, 10], grow=[3], persistence={})
    assert scan(clear=[4, 5, 7], persistence={}).composite.cloudy == (8, 9, 10)


def test_settings_of_runs_begun_before_there_were_rules_are_the_same():
    recorded = scan().settings()["composite"]
    assert not {"mask", "persistence"} & set(recorded)
    ruled = scan(mask=[CLOUD], persistence={}).settings()["composite"]
    assert ruled["mask"] == [{"asset": "cloud", "threshold": 60.0, "grow_m": 0.0}]
    assert ruled["persistence"] == {"dates": 3, "around_m": 500.0, "clear_share": 0.75, "observe": False}
