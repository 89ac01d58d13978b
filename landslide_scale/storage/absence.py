"""Storage that is away for a while: what may pass, and how long it is waited for.

Waits between tries double and are spread, as those between reads of scenes. How long it is waited for is the
caller's: a command that has just begun says soon that its storage is not there, a writer gives its unit up after a
minute, and the driver of a run of days rides out an hour.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from landslide_scale.errors import StorageAwayError

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE_S = 20.0
"""Of whoever says nothing else."""

WRITER_S = 60.0
"""Of what has a unit to lose; the unit is then failed for now, and tried again in a later pass."""

ABSENCE_S = 3600.0
"""Of the driver of a run."""

SAID_EVERY_S = 60.0
"""How often it is said while it is waited for."""

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM_CODES = ("QuotaExceeded", "XMinioStorageFull", "XMinioStorageQuotaExceeded", "InsufficientStorage")
_NO_ROOM_STATUS = 507
_NOT_FOUND = 404
_CONDITION_FAILED = ("PreconditionFailed", 412)
_UNKNOWN_THERE = ("NotImplemented", 501)

_STATUS_THAT_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_CODES_THAT_MAY_PASS = (
    *("RequestTimeout", "OperationAborted", "IncompleteBody", "SlowDown", "ServiceUnavailable"),
    "ConditionalRequestConflict",  # of two writes at once that depend on what is there
)
_ERRNO_THAT_MAY_PASS = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "EINTR", "EIO", "ETIME", "ETIMEDOUT"),
        *("ESTALE", "EREMOTEIO", "ENOLINK", "ECOMM", "EJUKEBOX"),  # of network file systems
        *("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)
_KINDS_THAT_MAY_PASS = frozenset(
    {
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "botocore.exceptions.IncompleteReadError",
        "botocore.exceptions.CredentialRetrievalError",
        "botocore.exceptions.MetadataRetrievalError",
        "botocore.parsers.ResponseParserError",
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
    }
)
_LIBRARIES = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "botocore.parsers": ("ResponseParserError",),
    "aiohttp.client_exceptions": ("ClientError",),
}


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How storage is waited for.

    Attributes:
        seconds: At most, from the first failure of a request to its last try; 0 for one try.
        guard: Called before every try; what it raises ends the waiting, but that the storage is away.
    """

    seconds: float = PATIENCE_S
    guard: Callable[[], None] = lambda: None


_USUAL = Patience()
_patience: ContextVar[Patience | None] = ContextVar("patience", default=_USUAL)
"""None within what is tried again already."""

_guard: ContextVar[Callable[[], None]] = ContextVar("guard", default=_USUAL.guard)
"""Of whoever is patient, also within a try."""


@contextmanager
def patient(seconds: float, guard: Callable[[], None] = lambda: None) -> Iterator[None]:
    """How long storage is waited for in the block; see :class:`Patience`."""
    token, outer = _patience.set(Patience(seconds=seconds, guard=guard)), _guard.set(guard)
    try:
        yield
    finally:
        _guard.reset(outer)
        _patience.reset(token)


def look() -> None:
    """Within a try: whether what was begun may still be done, as the guard of whoever is patient says."""
    _guard.get()()


@contextmanager
def guarded(guard: Callable[[], None]) -> Iterator[None]:
    """Where another guard is asked too, after the one there is, and storage is waited for as long as before.

    Args:
        guard: As that of :class:`Patience`.
    """
    patience = _patience.get()
    if patience is None:  # within a try, which is made again as a whole
        guard()
        yield
        return
    before = patience.guard

    def both() -> None:
        before()
        guard()

    with patient(patience.seconds, guard=both):
        yield


def riding_out(work: Callable[[], T]) -> T:
    """What `work` comes to; where storage is away, it is done again after growing waits.

    Raises:
        StorageAwayError: It was away for longer than one is patient.
    """
    patience = _patience.get()
    if patience is None:
        return work()
    token = _patience.set(None)
    try:
        return _tried(work, patience)
    finally:
        _patience.reset(token)


def _tried(work: Callable[[], T], patience: Patience) -> T:
    begun, tries, said = time.monotonic(), 0, -math.inf
    while True:
        try:
            patience.guard()  # a request of its own, which may fail for a moment as any other does
            return work()
        except StorageAwayError as error:
            tries += 1
            waited = time.monotonic() - begun
            if waited >= patience.seconds:
                raise StorageAwayError(
                    f"{error.found}, {tries} times in {waited:.0f} s",
                    expected=error.expected,
                    cure=error.cure,
                    **error.where,
                ) from None  # the chain repeats addresses with their keys
            seconds = min(wait_after(error, tries), patience.seconds - waited)
            if waited - said >= SAID_EVERY_S:
                log.warning("tried again for up to %.0f s: %s", patience.seconds, error)
                said = waited
            time.sleep(seconds)


def wait_after(error: StorageAwayError, tries: int) -> float:
    """Seconds to wait after so many tries: doubled each time, spread, and not less than the server asks for."""
    own = FIRST_WAIT_S * 2.0 ** min(tries - 1, 10) * random.uniform(1, 2)  # noqa: S311 spreads load, keeps no secret
    return min(LONGEST_WAIT_S, max(own, _asked(error.__cause__)))


def failures() -> tuple[type[Exception], ...]:
    """What storage raises when it fails; errors of botocore and aiohttp are no OSError."""
    found: list[type[Exception]] = [OSError]
    for module, names in _LIBRARIES.items():
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)


def behind(error: BaseException) -> BaseException:
    """The error itself, or its cause where it only claims that a file is not there.

    fsspec claims so whatever kept a web server from saying how large a file is: no connection, a login, an overload.
    """
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, failures()) and _answer(error)[1] != _NOT_FOUND:
        return cause
    return error


def told(error: BaseException) -> str:
    """An error of storage in a clause: of a connection that failed its host, and why; of any other kind and text."""
    host, why = getattr(error, "host", None), getattr(error, "os_error", None)
    if host is None or not isinstance(why, OSError):
        return f"{type(error).__name__}: {error}"
    port = getattr(error, "port", None)
    # asyncio puts a sentence of its own in place of the system's; of a name that is unknown there is no other.
    reason = os.strerror(why.errno) if why.errno and why.errno > 0 else why.strerror or why
    return f"the connection to {host}{'' if port is None else f':{port}'} failed ({reason})"


def is_full(error: BaseException) -> bool:
    """Whether there is no room: a full disk, a quota, a limit on the size of files."""
    code, status = _answer(error)
    full = code in _NO_ROOM_CODES or status == _NO_ROOM_STATUS
    return full or (isinstance(error, OSError) and error.errno in _NO_ROOM)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later; not where it was refused, or what it is about is not there."""
    code, status = _answer(error)
    if is_full(error) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return False
    if status:
        return status in _STATUS_THAT_MAY_PASS or code in _CODES_THAT_MAY_PASS
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    if isinstance(error, OSError) and error.errno in _ERRNO_THAT_MAY_PASS:
        return True
    return any(f"{kind.__module__}.{kind.__name__}" in _KINDS_THAT_MAY_PASS for kind in type(error).__mro__)


def condition_failed(error: BaseException) -> bool:
    """Whether a write was refused because what is there is not as its condition says."""
    code, status = _answer(error)
    return code == _CONDITION_FAILED[0] or status == _CONDITION_FAILED[1]


def is_unknown_there(error: BaseException) -> bool:
    """Whether a server does not know what it was asked for, as some do conditions."""
    code, status = _answer(error)
    return code == _UNKNOWN_THERE[0] or status == _UNKNOWN_THERE[1]


def _answer(error: BaseException | None) -> tuple[str, int]:
    """Code and HTTP status of a server's answer behind an error; an empty one and 0 where there was none.

    s3fs makes a built-in error of botocore's, and keeps that as its cause.
    """
    for one in (error, getattr(error, "__cause__", None)):
        response = getattr(one, "response", None)
        if isinstance(response, Mapping):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(response.get("Error", {}).get("Code", "")), int(status)
        if isinstance(getattr(one, "status", None), int):
            return "", int(getattr(one, "status", 0))
    return "", 0


def _asked(error: BaseException | None) -> float:
    """Seconds that a server asks for in Retry-After; else 0."""
    for one in (error, getattr(error, "__cause__", None)):
        response: Any = getattr(one, "response", None)
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders") if isinstance(response, Mapping) else None
        text = str((headers or getattr(one, "headers", None) or {}).get("retry-after", ""))
        if text.isdecimal():
            return float(text)
    return 0.0
