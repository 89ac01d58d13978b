"""Who may write into a run's folder: one driver at a time, on a local disk and on an object store alike.

A driver that wants the folder writes a file of its own, with a name no other has, and then lists the folder. It holds
the lease when nobody else's file is there; when somebody's is, it takes its own away again. Of two that try at once at
least one sees the other, whichever was first, because what has been written is listed: so both never hold it, and
no locks are needed. (S3 lists what was written since December 2020.)

The holder looks, renews its file, and looks again. A file that was removed is not made anew by that, on a local disk
and on S3 (If-Match); where a store does not know conditions, one that was away may do so, and whoever took the folder
later goes on, once both have seen each other. It relies on its look for `TRUSTED` of a life; then it writes nothing
before it has looked anew. So it may be away from its storage for as long as nobody else takes the folder: it waits, and
goes on where its file is still there. A file of a process of this machine that is gone is removed at once. Any other
that is not renewed for half a life, on the clock of whoever wants the folder and watched without a gap, is removed in
two steps: the one who wants it says so, in its own file, and waits for another half. By then its holder, should it
live, has stopped for want of a look, or has looked, and shown that it lives.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial

from landslide_scale.errors import BrokenRunError, RunConflictError, StorageAwayError
from landslide_scale.storage.absence import ABSENCE_S, patient
from landslide_scale.storage.holder import Holder
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import (
    LOOKS_IN_A_LIFE,
    PREFIX,
    RENEWALS_IN_A_LIFE,
    Clock,
    Watch,
    give_up,
    is_over,
    leases,
    read_if_whole,
)

log = logging.getLogger(__name__)

LIFE_S = 60.0
TRUSTED = 0.4
"""Share of a life; less than the half for which whoever takes a lease away waits after it has said so."""

_TRIES = 5
_SAY_S = 60.0
END_S = 5.0
"""For each of the last requests, when the folder is given back."""

_AGAIN_S = 30.0
"""Between tries to remove a lease of which the storage did not hear by then that it was given back."""

_LENGTH = 1024
"""Bytes of a lease's file, unless it says more."""


class Lease:
    """A lease that is held.

    Args:
        run: The folder.
        life: Seconds it lasts without renewal.
        clock: Whose time it goes by.
    """

    def __init__(self, run: RunDirectory, life: float, clock: Clock | None = None) -> None:
        self.run, self._life, self._clock = run, life, clock or Clock()
        self.token = secrets.token_hex(8)
        self.name = f"{PREFIX}{self.token}.json"
        self._said_since = datetime.now(UTC).isoformat(timespec="microseconds")
        self._after: tuple[str, ...] = ()
        self._begun, self._may_be_there = False, False
        self._seen: tuple[float, ...] | None = None
        self._rivals: dict[str, tuple[Holder, float]] = {}
        self._lost = ""
        self._refused: BrokenRunError | None = None
        self._lock = threading.Lock()

    def take(self) -> None:
        """Have the folder for ourselves.

        Raises:
            RunConflictError: Somebody else has it.
        """
        for _ in range(_TRIES):
            others = self._others()
            watch = Watch(self.run, others, self._life, self._clock)
            alive = watch.sign_of_life()
            if alive is None and set(self._others()) <= set(others):
                self._after = tuple(others)
                self._write()
                alive = watch.sign_of_life()
                if alive is None and self._is_alone_without(others, watch):
                    return
                self.run.delete_all([self.name])
                self._begun = False
            if alive is not None:
                break
            self._clock.sleep(random.uniform(0, self._life / 60))  # noqa: S311 so that two do not meet for ever
        raise RunConflictError(
            f"another run is at work here: {alive}" if alive else "several runs begin here at once",
            expected="one run at a time",
            cure="Wait for its end, or choose another output.run.",
            run=self.run,
        )

    def keep(self, ended: threading.Event) -> None:
        """Renew until the end, or until it is lost."""
        while not self._lost and not ended.wait(self._life / RENEWALS_IN_A_LIFE):
            self.renew()

    def check(self) -> None:
        """Go on only while the folder is ours; where that is not known for now, wait until it is.

        Raises:
            BrokenRunError: It is no longer ours, or the storage refuses.
            StorageAwayError: It could not be known for `ABSENCE_S`.
        """
        begun = said = self._clock.counted()
        while not self._is_trusted():
            self.renew()
            now = self._clock.counted()
            if self._lost or self._refused or self._is_trusted():
                break
            if now - begun > ABSENCE_S:
                raise StorageAwayError(
                    f"the lease on the output could not be renewed for {now - begun:.0f} s",
                    expected="storage that this machine can reach and may write to",
                    cure="See to it and go on with --resume: what was finished is kept.",
                    run=self.run,
                )
            if said == begun or now - said > _SAY_S:
                log.warning("%s does not answer, or another run tries to begin there: waiting", self.run)
                said = now
            self._clock.sleep(self._life / LOOKS_IN_A_LIFE)
        if self._refused is not None:
            raise self._refused
        if self._lost:
            raise BrokenRunError(
                f"the lease on the output was lost: {self._lost}",
                expected=f"a lease that is renewed every {self._life / RENEWALS_IN_A_LIFE:.0f} s",
                cure="See whether another run goes on there; else --resume goes on from here.",
                run=self.run,
            )

    def renew(self) -> None:
        """Look, renew and look again; storage that is away for a moment is tried again by the next call."""
        with self._lock, patient(0):
            if self._lost:
                return
            begun = self._clock.moment()
            try:
                if self._look():
                    self._write()
                    if self._look() and not self._rivals:
                        self._seen = begun
            except FileNotFoundError:
                self._lost = "another process removed it"
            except StorageAwayError as error:
                log.info("the lease is not renewed for now: %s", error)
            except BrokenRunError as error:
                self._refused = error

    def give_back(self) -> None:
        """Let others have it; those of this process may whether or not the storage hears of it."""
        give_up(self.name)
        if self._may_be_there:
            self.run.delete_all([self.name])

    def _is_trusted(self) -> bool:
        """Whether the last look is so new that nobody can have taken the folder since."""
        return not self._lost and self._seen is not None and self._clock.since(self._seen) <= TRUSTED * self._life

    def _is_alone_without(self, others: Sequence[str], watch: Watch) -> bool:
        """Remove the leases of those that are dead, and see whether ours is then the only one."""
        if others and self._clock.since(watch.looked) > self._life / RENEWALS_IN_A_LIFE:
            return False  # we slept since, and they may have come back
        self.run.delete_all(others)
        self._seen = self._clock.moment()
        if leases(self.run) == [self.name]:
            return True
        if others:  # one whose lease we should not have removed knows by then
            self._clock.sleep(self._life / 2)
        return False

    def _look(self) -> bool:
        """Whether our file is there and nobody has taken the folder; who tries to is noted in `_rivals`."""
        names = leases(self.run)
        if self.name not in names:
            self._lost = "another process removed it"
            return False
        found: dict[str, tuple[Holder, float]] = {}
        for name in names:
            rival = read_if_whole(self.run, name)
            if name == self.name or rival is None:
                continue
            known, since = self._rivals.get(name, (rival, self._clock.counted()))
            if rival != known:  # whoever only tries does not renew
                # One that did not know of us took the folder while our file was gone; or we, while its was.
                if self.name in rival.after or (rival.since, name) > (self._said_since, self.name):
                    self._lost = f"it was taken by {rival}"
                    return False
                known, since = rival, self._clock.counted()
            if is_over(name, rival) or self._clock.counted() - since > self._life:
                self.run.delete_all([name])
            else:
                found[name] = (known, since)
        self._rivals = found
        return True

    def _others(self) -> list[str]:
        return [name for name in leases(self.run) if name != self.name]

    def _write(self) -> None:
        expires = datetime.now(UTC) + timedelta(seconds=self._life)
        known = Holder.of_this_process(self._said_since, expires.isoformat(timespec="microseconds"), self._after)
        # Of one length as long as it is held: it is renewed in place.
        text = json.dumps(asdict(known), indent=1).ljust(_LENGTH - 1) + "\n"
        if self._begun:
            self.run.renew(self.name, text.encode())
        else:
            self._may_be_there = True
            self.run.write(self.name, text.encode())
            self._begun = True


@contextmanager
def held(run: RunDirectory, *, life: float = LIFE_S) -> Iterator[Lease]:
    """The folder for ourselves for as long as the block takes, which rides out the absence of its storage.

    Args:
        run: The folder.
        life: Seconds that the lease lasts without renewal.

    Raises:
        RunConflictError: Another process of this machine holds it, or one elsewhere that renews it. One that shows no
            sign of life is waited for, `life` seconds at most.
    """
    lease, ended = Lease(run, life), threading.Event()
    renewing = threading.Thread(target=lease.keep, args=(ended,), daemon=True)
    try:
        lease.take()
        renewing.start()
        with patient(ABSENCE_S, guard=lease.check):
            yield lease
    finally:
        ended.set()
        if renewing.ident is not None:
            _within(END_S, renewing.join)
        _within(END_S, partial(_given_back, lease))


def _given_back(lease: Lease) -> None:
    """Have a lease removed, for as long as this process lives: to another one of this machine it is held until then."""
    heard = False
    while not heard:
        try:
            with patient(END_S):
                lease.give_back()
            heard = True
        except StorageAwayError as error:
            log.info("%s: the lease is not given back for now: %s", lease.run, error)
            time.sleep(_AGAIN_S)
        except BrokenRunError as error:
            log.warning("%s: it stays held to others of this machine until this process ends: %s", lease.run, error)
            heard = True


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Do something that may wait for storage which does not answer, and go on after so long whether it is done."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)


def session_of(name: str) -> str:
    """The session of the driver whose lease is in a file: its token; empty where there is no driver."""
    return name.removeprefix(PREFIX).removesuffix(".json")


def check_lease(run: RunDirectory, name: str) -> None:
    """Make sure, before a worker stores anything, that its driver still has the folder.

    Args:
        run: The folder.
        name: File of the driver's lease; empty where there is no driver.

    Raises:
        BrokenRunError: Another one may have it.
    """
    if name and not run.exists(name):
        raise BrokenRunError(
            "the driver of this run has lost its lease on the output",
            expected="one run at a time",
            cure="See whether another run goes on there; else --resume goes on from here.",
            run=run,
        )
