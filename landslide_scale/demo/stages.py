"""How far the demo is: its stages, percent of the whole, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Say = Callable[[str], None]
Advance = Callable[[float, str], None]
"""Given the share of a stage that is done, 0 to 1, and a line of text."""

_TRUSTED_S = 20.0
"""How much of what was measured weighs against the pace so far, which means little over the first seconds."""


class Stages:
    """Announces stages as they begin and go on.

    Stages are weighed by the seconds they were measured to take; what is left is theirs, at the pace so far.

    Args:
        expected: Seconds of each stage, above 0, in the order they come.
        say: Given the lines.
        clock: Seconds of a clock that only goes forward.
    """

    def __init__(self, expected: Mapping[str, float], say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._expected, self._say, self._clock = dict(expected), say, clock
        self._began = clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[Advance]:
        """One stage, for as long as the block takes; its seconds are kept."""
        began, before = self._clock(), self._before(name)

        def advance(share: float, text: str) -> None:
            done = before + min(max(share, 0.0), 1.0) * self._expected[name]
            self._say(f"[{self._standing(done)}] {name}: {text}")

        advance(0.0, "begun")
        yield advance
        self.seconds[name] = self._clock() - began

    @property
    def total(self) -> float:
        """Seconds since the first."""
        return self._clock() - self._began

    def _before(self, name: str) -> float:
        names = list(self._expected)
        return sum(self._expected[each] for each in names[: names.index(name)])

    def _standing(self, done: float) -> str:
        whole = sum(self._expected.values())
        pace = (self.total + _TRUSTED_S) / (done + _TRUSTED_S)
        return f"{done / whole:3.0%}, about {duration((whole - done) * pace)} left"


def duration(seconds: float) -> str:
    """Minutes and seconds, as 2:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
