from __future__ import annotations

import math

import numpy as np
import pytest

from landslide_scale.metrics import Confusion
from landslide_scale.metrics.areas import DRAWS
from landslide_scale.metrics.intervals import Bounds, ByPlace, HeldOut


def confusions(count: int, seed: int = 0, hit: float = 0.7) -> dict[str, Confusion]:
    """Places that are better and worse than each other, with landslides of many sizes."""
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(count):
        landslide = int(rng.lognormal(6, 1))
        tp = int(landslide * np.clip(hit + 0.2 * rng.normal(), 0, 1))
        fp = int(0.3 * landslide * rng.random())
        found[f"p{number:03d}"] = Confusion(tp=tp, fp=fp, fn=landslide - tp, tn=10_000)
    return found


def total(places: dict[str, Confusion]) -> Confusion:
    return sum(places.values(), Confusion())


@pytest.mark.parametrize("of_class", ["landslide", "macro"])
@pytest.mark.parametrize("score", ["precision", "recall", "f1", "iou"])
def test_the_score_is_that_of_all_pixels_and_the_interval_that_of_a_plain_bootstrap(of_class: str, score: str):
    places = confusions(40)
    found = ByPlace.of([places]).score(of_class, score)
    assert found.value == pytest.approx(getattr(getattr(total(places), of_class), score))
    rng, names = np.random.default_rng(99), list(places)
    drawn = []
    for _ in range(2 * DRAWS):
        some = sum((places[names[one]] for one in rng.integers(40, size=40)), Confusion())
        drawn.append(getattr(getattr(some, of_class), score))
    width = np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025)
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.12 * width)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.12 * width)
    assert found.low < found.value < found.high


def test_pixels_of_one_place_are_no_more_places():
    """Each place told in ten images says no more than told in one."""
    places = confusions(30)
    once = ByPlace.of([places]).score("landslide", "f1")
    split = {f"{name}-{part}": one for name, one in places.items() for part in range(10)}
    apart = ByPlace.of([split]).score("landslide", "f1")
    assert apart.value == pytest.approx(once.value)
    assert (once.high - once.low) / (apart.high - apart.low) == pytest.approx(math.sqrt(10), rel=0.25)


def test_with_few_places_or_a_draw_without_landslides_there_is_no_interval():
    few = ByPlace.of([confusions(4)]).score("landslide", "f1")
    assert 0 < few.value < 1
    assert math.isnan(few.low)
    rare = {f"p{number}": Confusion(tn=10) for number in range(20)} | {"q": Confusion(tp=1, fn=1)}
    assert math.isnan(ByPlace.of([rare]).score("landslide", "recall").low)
    nothing = ByPlace.of([{"a": Confusion(tn=10)}]).score("landslide", "f1")
    assert str(nothing) == "undefined"
    assert math.isnan(ByPlace.of([{}]).score("landslide", "f1").value)


def test_a_mean_over_seeds_is_drawn_by_place_over_all_of_them():
    """Seeds that scored the same places are no more places; the spread of seeds does not widen it."""
    places = confusions(40)
    one, three = (ByPlace.of([places] * count).score("landslide", "f1") for count in (1, 3))
    assert vars(three) == pytest.approx(vars(one))
    shifted = {
        name: Confusion(tp=c.tp // 2, fp=c.fp, fn=c.fn + c.tp - c.tp // 2, tn=c.tn) for name, c in places.items()
    }
    both = ByPlace.of([places, shifted]).score("landslide", "f1")
    expected = (total(places).landslide.f1 + total(shifted).landslide.f1) / 2
    assert both.value == pytest.approx(expected)
    assert both.high - both.low < 1.5 * (one.high - one.low)
    halves = ByPlace.of([dict(list(places.items())[:25]), dict(list(places.items())[15:])])
    assert len(halves.places) == 40
    assert halves.score("landslide", "f1").low < one.value


def test_two_networks_are_compared_on_the_same_places():
    """They are better and worse on the same ones, so that their difference is known better than either."""
    places = confusions(40)
    better = {name: Confusion(tp=c.tp + c.fn // 4, fp=c.fp, fn=c.fn - c.fn // 4, tn=c.tn) for name, c in places.items()}
    one, other = ByPlace.of([better]), ByPlace.of([places])
    found = one.over(other, "landslide", "f1")
    assert found.value == pytest.approx(total(better).landslide.f1 - total(places).landslide.f1)
    assert 0 < found.low < found.value < found.high
    alone = one.score("landslide", "f1")
    assert found.high - found.low < 0.5 * (alone.high - alone.low)
    assert vars(one.over(one, "landslide", "f1")) == {"value": 0, "low": 0, "high": 0}
    with pytest.raises(ValueError, match="40 and 39 places"):
        one.over(ByPlace.of([dict(list(places.items())[1:])]), "landslide", "f1")


def test_a_card_holds_bounds_that_json_can_hold():
    found = HeldOut.of(ByPlace.of([confusions(12)]), images=30)
    assert (found.images, found.places) == (30, 12)
    assert found.f1 is not None
    assert found.f1.low is not None
    assert found.f1.high is not None
    assert found.f1.low < found.f1.value < found.f1.high
    assert str(found.f1) == f"{found.f1.value:.3f} ({found.f1.low:.3f} to {found.f1.high:.3f})"
    few = HeldOut.of(ByPlace.of([{"a": Confusion(tp=1, fp=1, tn=3)}]), images=1)
    assert few.f1 == Bounds(value=pytest.approx(2 / 3))
    assert HeldOut.of(ByPlace.of([{"a": Confusion(tn=3)}]), images=1).f1 is None
