"""Requests over HTTP that are made again where that may help: whoever asks a service through `requests` mounts this.

What may pass (a server that is busy or away, a connection that breaks, a name that is not resolved now) is asked again,
a POST too, for what is asked here changes nothing. What will not pass is the caller's to read.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from landslide_scale.errors import TryAgainError
from landslide_scale.reading.attempts import bounded, may_pass, retrying
from landslide_scale.redaction import redacted

ATTEMPTS = 6
"""With waits that double from half a second, spread: 15 to 31 s in all, and up to 150 s where a server asks for it."""

ATTEMPT_S = 60.0
"""Of one request, to the last byte of its answer; a page of a hundred Items is a megabyte or two."""

_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class PatientAdapter(HTTPAdapter):
    """Sends a request until it is answered with something that will not pass, as often as it is tried.

    Raises:
        TryAgainError: Of the last attempt; ``retry_after`` is what the server asked for.
    """

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """The answer, all of it read."""

        def once() -> requests.Response:
            try:
                return bounded(lambda: self._answer(request, *args, **kwargs), ATTEMPT_S)
            except TryAgainError as error:
                raise error.at(address=redacted(request.url or "")) from None

        return retrying(once, ATTEMPTS)

    def _answer(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 the adapter's
        try:
            answer = super().send(*args, **kwargs)
            answer.content  # noqa: B018 read now, so that one that breaks off is asked for again
        except _BROKEN as error:
            if _is_of_trust(error):
                raise
            raise TryAgainError(_said(error), expected="an answer") from None  # its chain repeats the address
        if may_pass(answer.status_code):
            raise TryAgainError(
                f"HTTP status {answer.status_code}",
                expected="an answer",
                retry_after=answer.headers.get("Retry-After"),
            )
        return answer


def _is_of_trust(error: BaseException) -> bool:
    """Whether a certificate is not believed, or the server speaks no TLS: waiting cures neither."""
    broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return any(isinstance(one, ssl.SSLError) and not isinstance(one, broken) for one in _within(error))


def _said(error: BaseException) -> str:
    """What broke, as the innermost error has it; urllib3's own texts hold addresses of objects."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    inner = [one for one in _within(error) if isinstance(one, OSError) and one.strerror]
    return f"the connection failed ({inner[-1].strerror})" if inner else f"no whole answer ({type(error).__name__})"


def _within(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of, each once, from the outside in."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
            yield one
