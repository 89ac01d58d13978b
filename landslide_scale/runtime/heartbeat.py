"""Waiting for what others make, with a sign of life from time to time and an end."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

EVERY_S = 60.0
"""Between two lines of a run in which nothing ends: ten of them before the default limit."""


def patiently(items: queue.Queue[T], *, limit_s: float, silent: Callable[[float], None]) -> T:
    """The next item.

    Args:
        items: Where it comes from.
        limit_s: Seconds after which nothing is expected any more.
        silent: Called with the seconds waited so far, every ``EVERY_S``.

    Raises:
        TimeoutError: No item came within `limit_s`.
    """
    begun = time.monotonic()
    while True:
        left = limit_s - (time.monotonic() - begun)
        try:
            return items.get(timeout=max(0.0, min(EVERY_S, left)))
        except queue.Empty:
            if (waited := time.monotonic() - begun) >= limit_s:
                raise TimeoutError from None
            silent(waited)
