"""Reads that may fail: each try bounded in time, the next one after a growing wait, every failure named in the log."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from types import MappingProxyType
from typing import TypeVar

from landslide_scale.errors import TryAgainError
from landslide_scale.reading.threads import Crew, check_wanted

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 3
ATTEMPT_S = 30.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""A server may ask for a longer rest: what is read is then failed for now, and tried again in a later pass."""

_SERVER_ERROR = 500
_BUSY = (408, 425, 429)
_NEVER = (501, 505)  # not implemented, and a version of HTTP that is not spoken

_crew = Crew("attempt")

_names: ContextVar[Mapping[str, Mapping[str, str]]] = ContextVar("names", default=MappingProxyType({}))


class TooSlowError(TryAgainError):
    """Something that was not read whole in the time that it may take."""


class Waits:
    """What was waited after tries that failed, in seconds; of reads that wait at once, of each."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = Lock()

    def add(self, seconds: float) -> None:
        """One was waited for."""
        with self._lock:
            self.seconds += seconds


_waits: ContextVar[Waits | None] = ContextVar("waits", default=None)


@contextmanager
def counting_waits() -> Iterator[Waits]:
    """What :func:`retrying` waits in the block, and in work that is begun in it by :mod:`.threads`."""
    token = _waits.set(waits := Waits())
    try:
        yield waits
    finally:
        _waits.reset(token)


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


def may_pass(status: int) -> bool:
    """Whether an answer of this HTTP status may be another one a while later: the server is busy, or away."""
    return status in _BUSY or (status >= _SERVER_ERROR and status not in _NEVER)


def retrying(read: Callable[[], T], attempts: int | None = None) -> T:
    """Run `read`; a failure that may pass is logged, and tried again after a wait.

    Args:
        read: What to do.
        attempts: How often, by default ``ATTEMPTS``.

    Raises:
        TryAgainError: Of the last attempt.
    """
    most = attempts or ATTEMPTS
    for attempt in range(1, most):
        try:
            return read()
        except TryAgainError as error:
            check_wanted()
            seconds = wait_after(error, attempt)
            log.warning("attempt %d of %d failed, the next in %.1f s: %s", attempt, most, seconds, error)
            if (waits := _waits.get()) is not None:
                waits.add(seconds)
            time.sleep(seconds)
            check_wanted()
    return read()


def bounded(read: Callable[[], T], within_s: float | None = None) -> T:
    """What `read` returns or raises within so many seconds, by default ``ATTEMPT_S``.

    It runs in a thread, which nothing can stop: past the limit it is left to end by itself, so every single request in
    it must have a limit of its own.

    Raises:
        TooSlowError: It took longer.
    """
    limit = within_s or ATTEMPT_S
    ended = _crew.begin(read)
    if not wait([ended], limit).done:
        raise TooSlowError(f"not read within {limit:g} s", expected="all of it")
    return ended.result()


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
