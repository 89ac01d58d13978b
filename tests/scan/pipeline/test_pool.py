"""How many predictors a configuration asks for."""

from __future__ import annotations

from typing import Any

import pytest

from landslide_scale.errors import InvalidConfigError
from landslide_scale.scan.settings import ScanCompute
from landslide_scale.strictyaml import parse


@pytest.mark.parametrize(
    ("said", "pool"), [({}, (1, 1)), ({"predictors": 4}, (4, 4)), ({"predictors": {"least": 2, "most": 8}}, (2, 8))]
)
def test_the_pool_is_a_number_or_between_a_least_and_a_most(said: dict[str, Any], pool: tuple[int, int]):
    assert parse(ScanCompute, said).pool == pool
    assert parse(ScanCompute, {"predictors": {"most": 3}}).pool == (1, 3)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (0, "key predictors: found 0; expected: at least 1"),
        ({"least": 3, "most": 2}, "key compute.predictors: least 3, most 2; expected least not above most"),
        ({"least": 3}, "key predictors.most: missing"),
        ({"most": 0}, "key predictors.most: found 0"),
        ({"most": 2, "max": 3}, "key predictors.max: unknown"),
        ("4", 'key predictors: found "4"; expected: a whole number'),
        ([1, 4], "key predictors: found [1, 4]; expected: a whole number"),
    ],
)
def test_another_pool_is_refused_by_name(said: object, message: str):
    with pytest.raises(InvalidConfigError) as caught:
        parse(ScanCompute, {"predictors": said})
    assert message in str(caught.value)
