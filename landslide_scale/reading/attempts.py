"""Reads that may fail: each try bounded in time, the next one after a growing wait, every failure named in the log."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TypeVar

from landslide_scale.errors import TryAgainError

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 3
ATTEMPT_S = 30.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A server may ask for a longer rest; the unit is then failed for now, and tried again in a later pass."""

_names: ContextVar[Mapping[str, Mapping[str, str]]] = ContextVar("names", default=MappingProxyType({}))


@contextmanager
def naming(names: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Failures in the block say what an address is.

    Args:
        names: By address: ``unit``, ``scene``, ``band``, as errors name them.
    """
    token = _names.set(names)
    try:
        yield
    finally:
        _names.reset(token)


def name_of(address: str) -> Mapping[str, str]:
    """What the address is, as far as :func:`naming` was told."""
    return _names.get().get(address, {})


def retrying(read: Callable[[], T]) -> T:
    """Run `read`; a failure that may pass is logged, and tried again after a wait.

    Raises:
        TryAgainError: Of the last attempt.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except TryAgainError as error:
            seconds = wait_after(error, attempt)
            log.warning("attempt %d of %d failed, the next in %.1f s: %s", attempt, ATTEMPTS, seconds, error)
            time.sleep(seconds)
    return read()


def bounded(read: Callable[[], T]) -> T:
    """What `read` returns or raises within ``ATTEMPT_S`` seconds.

    It runs in a thread, which nothing can stop: past the limit it is left to end by itself, so every single request in
    it must have a limit of its own.

    Raises:
        TryAgainError: It took longer.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="attempt")
    try:
        future = pool.submit(read)
        if not wait([future], ATTEMPT_S).done:
            raise TryAgainError(f"not read within {ATTEMPT_S:g} s", expected="all of it")
        return future.result()
    finally:
        pool.shutdown(wait=False)


def wait_after(error: TryAgainError, attempt: int) -> float:
    """Seconds to wait after an attempt, counted from 1, failed.

    Doubled each time and spread over as much again, so that many readers do not come back at once; not less than the
    server asks for in the error's ``retry_after``, up to ``LONGEST_WAIT_S``.
    """
    own = FIRST_WAIT_S * 2.0 ** (attempt - 1) * random.uniform(1, 2)  # noqa: S311 spreads load, keeps no secret
    return max(own, min(LONGEST_WAIT_S, _asked(error.where.get("retry_after", ""))))


def _asked(text: str) -> float:
    """Seconds from now that a Retry-After header names: a number, or a date (RFC 9110, 10.2.3); else 0."""
    if text.isdecimal():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return (then.astimezone(UTC) - datetime.now(UTC)).total_seconds()
