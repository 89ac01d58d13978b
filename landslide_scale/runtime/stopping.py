"""How a run is stopped: SIGTERM ends it as Ctrl-C does, and it cleans up; so do the threads it leaves."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ABOUT_TO_END_S = 0.2
"""What a thread takes at most from its last word to its end."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def terminable() -> Iterator[None]:
    """Where SIGTERM raises `Terminated` in the main thread; elsewhere nobody could hear it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = threading.Event()

    def terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
        heard.set()
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        if heard.is_set():  # Ray makes a plain one of whatever interrupts it
            raise Terminated from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


class AbandonedError(BaseException):
    """Raised in a thread when nobody waits for its work any more; not an `Exception`, so that nobody handles it."""


def abandon(thread: threading.Thread, *, patience_s: float) -> None:
    """Raise `AbandonedError` in a thread at its next step, and wait for its end, so that it can clean up.

    One that has ended, or is about to, is left alone.

    Args:
        thread: Runs Python code and handles the error; a single call of C code is not cut short.
        patience_s: How long its end is waited for.
    """
    thread.join(ABOUT_TO_END_S)
    if thread.is_alive() and thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(AbandonedError))
        thread.join(patience_s)
