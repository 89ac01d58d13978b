"""How a run is stopped: SIGTERM ends it as Ctrl-C does, and it cleans up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


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
