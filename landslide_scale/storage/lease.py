"""Who may write into a run's folder: one driver at a time, on a local disk and on an object store alike.

A driver that wants the folder writes a file of its own, with a name no other has, and then lists the folder. It holds
the lease when nobody else's file is there; when somebody's is, it takes its own away again. Of two that try at once at
least one sees the other, whichever was first, because what has been written is listed: so both never hold it, and
neither conditional writes nor locks are needed. (S3 lists what was written since December 2020.)

The holder renews its file. A file that is not renewed for `LIFE_S`, on the clock of whoever waits, is of a driver that
was killed, and is removed; one of a process of this machine that is gone, at once. Its driver, should it only have
slept, finds the file gone and stops.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from landslide_scale.errors import BrokenRunError, RunConflictError
from landslide_scale.storage.rundir import RunDirectory

LIFE_S = 60.0
RENEWALS_IN_A_LIFE = 6
_TRIES = 5
PREFIX = "lease-"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a folder.

    Attributes:
        host: Name of the machine.
        machine: What tells it, and its container, from others of that name; processes of one see each other.
        pid: Process.
        born: When the process began, as the machine counts: a number is used again, with another birth.
        since: When the lease was taken.
        expires: Until when it holds unless it is renewed.
    """

    host: str
    machine: str
    pid: int
    born: str
    since: str
    expires: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}, until {self.expires} if it is not renewed"

    @property
    def lives_here(self) -> bool:
        """Whether it is a process of this machine, and alive."""
        return self.machine == _machine() and not self.gone

    @property
    def gone(self) -> bool:
        """Whether its process is known to have ended; that of another machine never is."""
        return self.machine == _machine() and _born(self.pid) != self.born


def holder(run: RunDirectory) -> Holder | None:
    """Who holds a folder now, as far as its files tell."""
    now = datetime.now(UTC).isoformat()
    for name in run.names("", ".json"):
        known = _read(run, name) if name.startswith(PREFIX) else None
        if known is not None and (known.lives_here or (not known.gone and known.expires > now)):
            return known
    return None


class Lease:
    """A lease that is held.

    Args:
        run: The folder.
        life: Seconds it lasts without renewal.
    """

    def __init__(self, run: RunDirectory, life: float) -> None:
        self.run, self._life = run, life
        self._name = f"{PREFIX}{secrets.token_hex(8)}.json"
        self._since = datetime.now(UTC)
        self._renewed = time.monotonic()
        self._lost = ""

    def take(self) -> None:
        """Have the folder for ourselves.

        Raises:
            RunConflictError: Somebody else has it.
        """
        for _ in range(_TRIES):
            holder = self._outlive()
            if holder is not None:
                break
            self._write()
            if not self._others():
                return
            self.give_back()
            time.sleep(random.uniform(0, self._life / 60))  # noqa: S311 so that two do not meet for ever
        raise RunConflictError(
            f"another run is at work here: {holder}" if holder else "several runs begin here at once",
            expected="one run at a time",
            cure="Wait for its end, or choose another output.run.",
            run=self.run,
        )

    def keep(self, ended: threading.Event) -> None:
        """Renew until the end, or until it is lost."""
        while not self._lost and not ended.wait(self._life / RENEWALS_IN_A_LIFE):
            self._lost = self._renew()

    def check(self) -> None:
        """Go on only while the folder is ours.

        Raises:
            BrokenRunError: It no longer is.
        """
        lost = self._lost or self._late()
        if lost:
            raise BrokenRunError(
                f"the lease on the output was lost: {lost}",
                expected=f"a lease that is renewed every {self._life / RENEWALS_IN_A_LIFE:.0f} s",
                cure="See whether another run goes on there; else --resume goes on from here.",
                run=self.run,
            )

    def give_back(self) -> None:
        """Let others have it."""
        self.run.delete_all([self._name])

    def _others(self) -> list[str]:
        names = self.run.names("", ".json")
        return [name for name in names if name.startswith(PREFIX) and name != self._name]

    def _outlive(self) -> Holder | None:
        """Remove the leases of those that were killed; one whose holder lives is returned."""
        for name in self._others():
            known = _read(self.run, name)
            if known is not None and (known.lives_here or self._is_renewed(name, known)):
                return known
            self.run.delete_all([name])
        return None

    def _is_renewed(self, name: str, known: Holder) -> bool:
        """Whether the lease of another machine changes; waits for it for the length of its life."""
        end = time.monotonic() + (0 if known.gone else self._life)
        while (now := _read(self.run, name)) == known and time.monotonic() < end:
            time.sleep(self._life / RENEWALS_IN_A_LIFE / 4)
        return now not in {known, None}

    def _write(self) -> None:
        begun = time.monotonic()
        expires = datetime.now(UTC) + timedelta(seconds=self._life)
        holder = Holder(
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            born=_born(os.getpid()),
            since=self._since.isoformat(timespec="seconds"),
            expires=expires.isoformat(timespec="microseconds"),
        )
        self.run.write_json(self._name, asdict(holder))
        self._renewed = begun

    def _renew(self) -> str:
        """Renew once; why it could not be, for good."""
        if late := self._late():
            return late
        with suppress(BrokenRunError):  # storage that is away for a moment is tried again
            if not self.run.exists(self._name):
                return "another process removed it"
            self._write()
        return ""

    def _late(self) -> str:
        late = time.monotonic() - self._renewed
        return f"not renewed for {late:.0f} s" if late > self._life else ""


@contextmanager
def held(run: RunDirectory, *, life: float = LIFE_S) -> Iterator[Lease]:
    """The folder for ourselves for as long as the block takes.

    Args:
        run: The folder.
        life: Seconds that the lease lasts without renewal.

    Raises:
        RunConflictError: Another process of this machine holds it, or one elsewhere that renews it. One that shows no
            sign of life is waited for, `life` seconds at most.
    """
    lease = Lease(run, life)
    lease.take()
    ended = threading.Event()
    renewing = threading.Thread(target=lease.keep, args=(ended,), daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        ended.set()
        renewing.join()
        with suppress(BrokenRunError):  # it expires by itself
            lease.give_back()


def _read(run: RunDirectory, name: str) -> Holder | None:
    """The lease in a file; None where it has been given back meanwhile."""
    try:
        return Holder(**run.read_json(name))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise RunConflictError(
            f"{name} is no lease of this package ({error})",
            expected="the folder of a run",
            cure="Choose another output.run.",
            run=run,
        ) from error


def _machine() -> str:
    """The machine since it was started, and the container on it whose processes we see."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _born(pid: int) -> str:
    """When a process began; empty where there is none, or where its end only waits to be noticed."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _alive(pid)
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _alive(pid: int) -> str:
    """As :func:`_born`, where processes are not files."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
