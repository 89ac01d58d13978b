"""Signs of life of those who hold a folder, or want it: their files, and whether they are renewed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import starmap

from landslide_scale.errors import RunConflictError
from landslide_scale.storage.holder import Holder
from landslide_scale.storage.rundir import LEASE, RunDirectory

RENEWALS_IN_A_LIFE = 6
LOOKS_IN_A_LIFE = 24

PREFIX = LEASE

_OWN = re.compile(rf"{PREFIX}[0-9a-f]{{16}}\.json")

_given_up: set[str] = set()
"""Files of leases that this process has given back, as far as it is concerned; its storage may not have heard of it."""


class Clock:
    """Time as a process can tell it."""

    def counted(self) -> float:
        """Seconds, never more than have passed; a machine that sleeps may not count them."""
        return time.monotonic()

    def moment(self) -> tuple[float, ...]:
        """Now, on every clock there is: some stand still while a machine sleeps, others are set."""
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic(), time.time(), time.monotonic() if boot is None else time.clock_gettime(boot)

    def since(self, moment: tuple[float, ...]) -> float:
        """Seconds since then, by the clock that says the most."""
        return max(now - then for now, then in zip(self.moment(), moment, strict=True))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def give_up(name: str) -> None:
    """Take a lease of this process, by its file, for given back from now on."""
    _given_up.add(name)


def is_over(name: str, known: Holder) -> bool:
    """Whether whoever had the lease in a file is known to have ended, or has given it back."""
    return known.gone or name in _given_up


def holder(run: RunDirectory) -> Holder | None:
    """Who holds a folder now, as far as its files tell."""
    now = datetime.now(UTC).isoformat()
    for name in leases(run):
        known = read(run, name)
        if known is not None and not is_over(name, known) and (known.lives_here or known.expires > now):
            return known
    return None


class Watch:
    """Looks at leases for signs of life.

    Args:
        run: Where they are.
        names: Their files.
        life: Seconds that one lasts without renewal.
        clock: Of whoever looks.
    """

    def __init__(self, run: RunDirectory, names: Sequence[str], life: float, clock: Clock) -> None:
        self._run, self._life, self._clock = run, life, clock
        self._known = {name: known for name in names if (known := read(run, name)) is not None}
        self.looked = clock.moment()
        """When last."""

    def sign_of_life(self) -> Holder | None:
        """The first to show one within half a life in which they were looked at all the time; none if all are gone."""
        begun = last = self._clock.counted()
        while (alive := self._first_alive()) is None and not all(starmap(is_over, self._known.items())):
            now = self._clock.counted()
            if now - last > self._life / RENEWALS_IN_A_LIFE:
                begun = now  # the storage was away, or we slept: then they may have been as badly off
            if now - begun >= self._life / 2:
                break
            last = now
            self._clock.sleep(self._life / LOOKS_IN_A_LIFE)
        return alive

    def _first_alive(self) -> Holder | None:
        self.looked = self._clock.moment()
        for name, known in list(self._known.items()):
            now = read(self._run, name)
            if now is None:
                del self._known[name]
            elif name not in _given_up and (now != known or now.lives_here):
                return now
        return None


def leases(run: RunDirectory) -> list[str]:
    """Files of all who hold a folder or want it."""
    return [name for name in run.names("", ".json") if name.startswith(PREFIX)]


def read(run: RunDirectory, name: str) -> Holder | None:
    """The lease in a file; None where it has been given back meanwhile.

    Of a file that has the name of a lease and is cut, as a power loss may leave it, nothing is known but its content:
    it is a lease of some process elsewhere, which holds for as long as that renews it.

    Raises:
        RunConflictError: The file is something else.
    """
    try:
        content = run.read(name)
    except FileNotFoundError:
        return None
    try:
        said = json.loads(content)
    except ValueError:
        if _OWN.fullmatch(name):
            return Holder(host="unknown", machine="", pid=0, born=content.hex(), since="", expires="")
        said = None
    try:
        return Holder(**said | {"after": tuple(said.get("after", ()))})
    except (TypeError, AttributeError) as error:
        raise RunConflictError(
            f"{name} is no lease of this version of the package ({error})",
            expected="the folder of a run",
            cure="Remove it where no run is at work there, or choose another output.run.",
            run=run,
        ) from error


def read_if_whole(run: RunDirectory, name: str) -> Holder | None:
    """As :func:`read`; None too where it is something else, which came while we were here."""
    with suppress(RunConflictError):
        return read(run, name)
    return None
