"""The most memory that this process and all it has begun took together."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EVERY_S = 1.0
_PROC = Path("/proc")
_KIB = 1024


class Peak:
    """The largest sum that was seen.

    Attributes:
        most: Bytes; None where the system does not say (it does on Linux).
    """

    def __init__(self) -> None:
        self.most: int | None = None

    def look(self) -> None:
        """Take in what is taken now."""
        taken = sum(map(_proportional, _family(os.getpid())))
        if taken:
            self.most = max(taken, self.most or 0)


@contextmanager
def watched() -> Iterator[Peak]:
    """Looks every second, from a thread of its own, for as long as the block takes."""
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while True:
            peak.look()
            if ended.wait(EVERY_S):
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _family(first: int) -> Iterable[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for status in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            # The name, in brackets, may hold anything; the parent is the second field behind it.
            parent = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(status.parent.name))
    found, waiting = [], [first]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def _proportional(process: int) -> int:
    """Bytes of a process's own, and its part of those that several share (PSS); 0 where it has ended."""
    with suppress(OSError):
        for line in (_PROC / str(process) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "Pss":
                return int(value.split()[0]) * _KIB
    return 0
