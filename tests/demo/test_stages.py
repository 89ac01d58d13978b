from __future__ import annotations

import pytest

from landslide_scale.demo.stages import Stages, duration


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_line_says_stage_percent_and_what_is_left_at_about_the_pace_so_far():
    clock, said = Clock(), list[str]()
    stages = Stages({"world": 20, "training": 70, "score": 10}, said.append, clock)
    with stages.stage("world") as advance:
        clock.now += 5
        advance(0.5, "half of it")  # 10 of 100 expected seconds in 5
        clock.now += 35
    with stages.stage("training") as advance:
        clock.now += 25
        advance(2.0, "more lines than were counted on")
    assert said == [
        "[ 0%, about 1:40 left] world: begun",
        "[10%, about 1:15 left] world: half of it",
        "[20%, about 2:00 left] training: begun",
        "[90%, about 0:08 left] training: more lines than were counted on",
    ]
    assert stages.seconds == {"world": 40, "training": 25}
    assert stages.total == 65


def test_a_stage_that_fails_has_no_seconds():
    stages = Stages({"world": 20}, lambda _: None)
    with pytest.raises(KeyError), stages.stage("world"):
        raise KeyError
    assert stages.seconds == {}


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0:00"), (59.6, "1:00"), (125, "2:05"), (3600, "60:00")])
def test_durations(seconds: float, said: str):
    assert duration(seconds) == said
