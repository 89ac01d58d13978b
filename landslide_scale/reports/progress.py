"""Progress of a command: it moves on a terminal and is sparse elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from landslide_scale.runtime.progress import Line, duration
from landslide_scale.scan.rounds import Progress


class ScanProgress:
    """Units and km2 done, rate and time left; called with every :class:`Progress`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._line = Line(stream)

    def __call__(self, progress: Progress) -> None:
        """Say it, where it is time to."""
        self._line(progress.done, progress.total, _line(progress))


def _line(progress: Progress) -> str:
    here = progress.done - progress.before
    scanned = here - progress.taken or here  # what is left will not be copied
    left = (progress.total - progress.done) * progress.seconds / scanned
    rate = here / max(progress.seconds, 1e-9) * 60
    again = f"; tries made again: {progress.again}" if progress.again else ""
    waited = f"; {progress.waited:,.0f} s waited for servers" if round(progress.waited) else ""
    taken = f"; taken over: {progress.taken}" if progress.taken else ""
    return (
        f"{progress.done}/{progress.total} units, {progress.km2:,.0f} km2, {rate:.1f} units/min, "
        f"{duration(left)} left{taken}{again}{waited}"
    )


class CountProgress:
    """Things done of all; called with both numbers.

    Args:
        what: The things, in the plural.
        stream: Where it is said.
    """

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what, self._line = what, Line(stream, said=time.monotonic())

    def __call__(self, done: int, total: int) -> None:
        """Say it, where it is time to."""
        self._line(done, total, f"{done}/{total} {self._what}")
