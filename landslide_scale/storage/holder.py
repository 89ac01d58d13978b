"""Who holds the folder of a run: a process, told from every other of this machine, of its containers and elsewhere."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


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
        after: Files of the leases that it takes away, because they were not renewed.
    """

    host: str
    machine: str
    pid: int
    born: str
    since: str
    expires: str
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}, until {self.expires} if it is not renewed"

    @property
    def lives_here(self) -> bool:
        """Whether it is a process of this machine, and alive."""
        return self.machine == this_machine() and not self.gone

    @property
    def gone(self) -> bool:
        """Whether its process is known to have ended; that of another machine never is."""
        return self.machine == this_machine() and born(self.pid) != self.born

    @classmethod
    def of_this_process(cls, since: str, expires: str, after: tuple[str, ...]) -> Holder:
        """What this process says of itself; arguments are the attributes of that name."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            machine=this_machine(),
            pid=pid,
            born=born(pid),
            since=since,
            expires=expires,
            after=after,
        )


def this_machine() -> str:
    """The machine since it was started, and the container on it whose processes we see."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def born(pid: int) -> str:
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
    """As :func:`born`, where processes are not files."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
