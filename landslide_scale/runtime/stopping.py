"""How a run is stopped: SIGTERM and SIGHUP end it as Ctrl-C does, and it cleans up, once and within a bound."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

END_S = 25.0
"""From a signal to the end, however long the cleaning up would take: Kubernetes gives 30 s before it kills."""

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_heard: list[int] = []
"""The signal that came; further ones are not heeded while it is cleaned up."""


_bounded = threading.Event()

_blocks: list[object] = []
"""Those that the main thread is within."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came, or SIGHUP: its terminal is gone, as that of a closed ssh.

    Args:
        number: Which.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def terminable() -> Iterator[None]:
    """Where a signal raises an interruption in the main thread, once; elsewhere nobody could hear it.

    SIGTERM and SIGHUP raise `Terminated`. What is ignored when the block begins stays ignored, as of nohup. Within
    such a block another one takes the signals back from whoever took them meanwhile, as Ray does, and for what is left
    of the outer block too, and its cleaning up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _STOPPING}
    within = bool(_blocks)
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    _blocks.append(before)
    try:
        yield
    except KeyboardInterrupt as error:
        if _heard and _heard[0] != signal.SIGINT and not isinstance(error, Terminated):
            raise Terminated(_heard[0]) from error  # Ray makes a plain one of whatever interrupts it
        raise
    finally:
        _blocks.pop()
        if not within:
            over = bool(_heard) and _bounded.is_set()  # until the process has ended, too
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if over else handler)
            _heard.clear()


def _stop(number: int, _frame: FrameType | None) -> None:
    if _heard:
        return
    _heard.append(number)
    if _bounded.is_set():
        _end_within(END_S, 128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(number)


def end_in_time() -> None:
    """Have this process end within `END_S` of a signal, whatever waits then: storage, Ray, threads of libraries.

    What of it was not cleaned up expires by itself, as a lease does.
    """
    _bounded.set()


def _end_within(seconds: float, code: int) -> None:
    def end() -> NoReturn:
        sys.stderr.write(f"what was cleaned up took longer than {seconds:.0f} s, and was left\n")
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
