"""Leases of several processes in one: made time, storage that is away for some, and processes that sleep.

Whatever a process does takes made time, in which the others go on; so every order of requests can come about.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from landslide_scale.errors import StorageAwayError
from landslide_scale.storage.absence import patient
from landslide_scale.storage.holder import Holder
from landslide_scale.storage.lease import LIFE_S, Lease
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import RENEWALS_IN_A_LIFE, Clock

EVERY_S = LIFE_S / RENEWALS_IN_A_LIFE


@dataclass
class World:
    """Made time, and who is in what state.

    Attributes:
        now: Seconds since it began.
        away: Whose storage is away.
        back: When it is there again for all.
        asleep: Until when each process sleeps.
        delays: What the next requests of whoever tries to take the folder wait for, in order.
        meanwhile: After how many requests of a holder that goes on what happens, before its next one.
        parties: Whose leases are renewed as time passes, and when the next time is due.
    """

    folder: str
    now: float = 0.0
    away: set[str] = field(default_factory=set)
    back: float = math.inf
    asleep: dict[str, float] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    parties: dict[str, tuple[Lease, float]] = field(default_factory=dict)
    meanwhile: tuple[int, Callable[[], object]] | None = None
    most: int = 0
    busy: set[str] = field(default_factory=set)

    def lease(self, name: str) -> Lease:
        return Lease(SeenBy(self.folder, self, name), LIFE_S, Ticking(self))

    def holds(self, name: str, held: Lease) -> None:
        self.parties[name] = (held, self.now + EVERY_S)

    def trusted(self) -> list[str]:
        """Who may write just now."""
        return [name for name, (held, _) in self.parties.items() if held._is_trusted()]

    def sleeps(self, name: str) -> bool:
        return self.asleep.get(name, 0.0) > self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; whoever is awake renews when it is due."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            if self.now >= self.back:
                self.away, self.back = set(), math.inf
            for name, (held, due) in list(self.parties.items()):
                if due <= self.now and not self.sleeps(name) and name not in self.busy:
                    self.parties[name] = (held, self.now + EVERY_S)
                    self.busy.add(name)
                    held.renew()
                    self.busy.discard(name)
            self.most = max(self.most, len(self.trusted()))


class Ticking(Clock):
    """Made time as a clock."""

    def __init__(self, world: World) -> None:
        self.world = world

    def counted(self) -> float:
        return self.world.now

    def moment(self) -> tuple[float, ...]:
        return (self.world.now,)

    def sleep(self, seconds: float) -> None:
        self.world.advance(seconds)


class SeenBy(RunDirectory):
    """A folder as one process sees it: its storage may be away, and its requests may wait."""

    def __init__(self, url: str, world: World, name: str) -> None:
        super().__init__(url)
        self.world, self.name = world, name

    def _asks(self) -> None:
        if self.name not in self.world.parties and self.world.delays:
            self.world.advance(self.world.delays.pop(0))
        if self.name in self.world.parties and self.world.meanwhile is not None:
            left, happens = self.world.meanwhile
            self.world.meanwhile = (left - 1, happens) if left else None
            if not left:
                happens()
        if self.name in self.world.away:
            raise StorageAwayError("away", expected="storage")

    def names(self, folder: str, ending: str) -> list[str]:
        self._asks()
        return super().names(folder, ending)

    def read(self, name: str) -> bytes:
        self._asks()
        return super().read(name)

    def write(self, name: str, content: bytes) -> None:
        self._asks()
        super().write(name, content)

    def renew(self, name: str, content: bytes) -> None:
        self._asks()
        super().renew(name, content)

    def delete_all(self, names: Sequence[str]) -> None:
        self._asks()
        super().delete_all(names)


@contextmanager
def on_machines_of_their_own() -> Iterator[None]:
    """Leases are written as if by processes of machines that know nothing of each other's processes; no one waits."""
    number = itertools.count()

    def elsewhere(since: str, expires: str, after: tuple[str, ...]) -> Holder:
        expires = f"0{next(number)}"  # other than before, and long past on any clock
        return Holder(host="far", machine="far", pid=7, born="1", since=since, expires=expires, after=after)

    with pytest.MonkeyPatch.context() as patched, patient(0):
        patched.setattr(Holder, "of_this_process", staticmethod(elsewhere))
        yield
