"""How far something is: one line that moves on a terminal, lines from time to time elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

from rich.console import Console
from rich.progress_bar import ProgressBar

SPARSE_S = 30
TERMINAL_S = 0.2
_BAR = 24
_ANEW = "\r\x1b[2K"

_listener: ContextVar[Callable[[int], None]] = ContextVar("listener", default=lambda _: None)


@contextmanager
def listening(told: Callable[[int], None]) -> Iterator[None]:
    """What is told of pixels that work in the block, in this process and thread, has gone over."""
    token = _listener.set(told)
    try:
        yield
    finally:
        _listener.reset(token)


def gone_over(pixels: int) -> None:
    """Tell whoever listens of work that is done; mostly nobody does."""
    _listener.get()(pixels)


class Line:
    """Says how far something is, where it is time to.

    Nothing of the terminal is changed that would have to be put right at an end, which a killed run does not come to.

    Args:
        stream: Where it is said; by default standard output.
        said: When something was said last, by the monotonic clock: by default never.
    """

    def __init__(self, stream: TextIO | None = None, said: float = 0.0) -> None:
        self._stream, self._said = stream or sys.stdout, said
        self._console = Console(file=self._stream)
        self._moves = self._console.is_terminal and not self._console.is_dumb_terminal

    def __call__(self, done: float, total: int, text: str) -> None:
        """Say it, where it is time to; the last at once."""
        last, now = done == total, time.monotonic()
        if not last and now - self._said < (TERMINAL_S if self._moves else SPARSE_S):
            return
        end = "\n" if last or not self._moves else ""
        self._stream.write(f"{_ANEW}{self._bar(done, total, text)}{end}" if self._moves else f"{text}{end}")
        self._stream.flush()
        self._said = now

    def _bar(self, done: float, total: int, text: str) -> str:
        """Bar, percent and text, cut to the width of the terminal: what wraps cannot be written over."""
        words = f"{done / max(total, 1):>4.0%} {text}"
        if self._console.width < 2 * _BAR:
            return words[: self._console.width - 1]
        with self._console.capture() as captured:
            self._console.print(ProgressBar(total=total, completed=done, width=_BAR))
        return f"{captured.get().rstrip()} {words[: self._console.width - _BAR - 2]}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
