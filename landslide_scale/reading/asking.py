"""Requests over HTTP that are made again where that may help: whoever asks a service through `requests` mounts this.

What may pass (a server that is busy or away, a connection that breaks, a name that is not resolved now) is asked again,
a POST too, for what is asked here changes nothing. What will not pass is the caller's to read. :func:`fetched` is for
whoever wants one file and no session.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from landslide_scale.errors import AwayError, PermanentReadError, TryAgainError
from landslide_scale.reading.attempts import TooSlowError, bounded, may_pass, retrying
from landslide_scale.reading.network import check_public
from landslide_scale.redaction import keep_log_clean, redacted
from landslide_scale.scene import Access

keep_log_clean("urllib3.connectionpool")

ATTEMPTS = 6
"""With waits that double from half a second, spread: 15 to 31 s in all, and up to 150 s where a server asks for it."""

ATTEMPT_S = 60.0
"""Of one request, to the last byte of its answer; a page of a hundred Items is a megabyte or two."""

SLOW_ATTEMPTS = 2
"""Of an answer that does not come to its end in time: to wait for it six times would take as many minutes."""

MOST_ANSWER = 64 * 2**20
"""Bytes of one answer, unpacked: some forty times what a page takes. A packed one may grow a thousandfold."""

MOST_REDIRECTS = 5

_TIMEOUT_S = 30
_PIECE = 2**14
_OK, _NO_CONTENT = 200, 204

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
        AwayError: An answer did not come to its end in time, :data:`SLOW_ATTEMPTS` times.
        PermanentReadError: An answer is larger than :data:`MOST_ANSWER`.
    """

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """The answer, all of it read."""
        where, slow = redacted(request.url or ""), count(1)

        def once() -> requests.Response:
            try:
                return bounded(lambda: self._answer(request, *args, **kwargs), ATTEMPT_S)
            except TooSlowError as error:
                if next(slow) == SLOW_ATTEMPTS:
                    raise AwayError(
                        f"{error.found}, {SLOW_ATTEMPTS} times",
                        expected="an answer",
                        cure="Run the same command again later.",
                        address=where,
                    ) from None
                raise error.at(address=where) from None
            except (TryAgainError, PermanentReadError) as error:
                raise error.at(address=where) from None

        return retrying(once, ATTEMPTS)

    def _answer(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 the adapter's
        try:
            answer = super().send(*args, **kwargs)
            # Read now, so that one that breaks off is asked for again, and piece by piece, for it may be packed.
            answer._content = _whole(answer, MOST_ANSWER)  # noqa: SLF001 as requests' own property does
            answer._content_consumed = True  # noqa: SLF001
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


def fetched(address: str, access: Access, *, most_bytes: int, within_s: float | None = None) -> bytes:
    """What lies at an http(s) address, whole; nothing where the server says that there is nothing.

    Args:
        address: Where it is.
        access: Which hosts may be asked, redirects included; by default that of the address.
        most_bytes: A larger body is not read to its end.
        within_s: Seconds that one request may take, to the last byte of its answer; by default ``ATTEMPT_S``.

    Raises:
        TryAgainError: The server is busy or away, as often as it is asked.
        PermanentReadError: It answers with a status that will not pass (in ``where["status"]``), with too much, or from
            a host that may not be asked.
    """
    place = address
    for _ in range(MOST_REDIRECTS + 1):
        _check_host(place, access, address)
        answer = _asked(place, most_bytes, within_s or ATTEMPT_S)
        if isinstance(answer, bytes):
            return answer
        place = urljoin(place, answer)
    raise PermanentReadError(
        f"more than {MOST_REDIRECTS} redirects", expected="the file itself", address=redacted(address)
    )


def _check_host(place: str, access: Access, first: str) -> None:
    parts = urlsplit(place)
    hosts = access.hosts or (urlsplit(first).hostname,)
    if parts.scheme not in {"http", "https"} or parts.hostname is None or parts.hostname not in hosts:
        raise PermanentReadError(
            f"an address or redirect to {parts.scheme}://{parts.hostname}",
            expected=f"http(s) on {', '.join(map(str, hosts))}",
            cure=f"Name the host under {access.section}.allowed_hosts if you trust it.",
            address=redacted(first),
        )
    check_public(parts.hostname, access, redacted(place))


def _asked(place: str, most_bytes: int, within_s: float) -> bytes | str:
    """The body at an address, or where the server says that it is."""

    def once() -> bytes | str:
        try:
            return bounded(lambda: _got(place, most_bytes), within_s)
        except (TryAgainError, PermanentReadError) as error:
            raise error.at(address=redacted(place)) from None

    return retrying(once, ATTEMPTS)


def _got(place: str, most_bytes: int) -> bytes | str:
    try:
        with requests.get(place, timeout=_TIMEOUT_S, stream=True, allow_redirects=False) as answer:
            if answer.is_redirect:
                return str(answer.headers["location"])
            return _body(answer, most_bytes)
    except _BROKEN as error:
        if _is_of_trust(error):
            raise PermanentReadError(_said(error), expected="a certificate that this machine believes") from None
        raise TryAgainError(_said(error), expected="an answer") from None
    except (requests.RequestException, ValueError) as error:  # an address that is none
        raise PermanentReadError(f"{type(error).__name__}: {error}", expected="an address by http(s)") from None


def _body(answer: requests.Response, most_bytes: int) -> bytes:
    status = answer.status_code
    if may_pass(status):
        raise TryAgainError(
            f"HTTP status {status}", expected="an answer", retry_after=answer.headers.get("Retry-After")
        )
    if status not in {_OK, _NO_CONTENT}:
        raise PermanentReadError(f"HTTP status {status}", expected="an answer", status=status)
    return _whole(answer, most_bytes)


def _whole(answer: requests.Response, most_bytes: int) -> bytes:
    """The body of an answer, unpacked; of a larger one no more than that is read."""
    pieces: list[bytes] = []
    size = 0
    for piece in answer.iter_content(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            raise PermanentReadError(f"more than {most_bytes:,} bytes", expected="a smaller file")
    return b"".join(pieces)


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
