"""Addresses signed just before they are read, where a provider asks for it (Planetary Computer's token API).

A signature is good for all assets of a storage container until it expires. It lives in the memory of the process that
reads and nowhere else: records, messages and frozen scenes hold the address without it.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import requests

from landslide_scale.errors import PermanentReadError, TryAgainError
from landslide_scale.reading.attempts import may_pass
from landslide_scale.reading.network import check_public
from landslide_scale.redaction import keep_log_clean, redacted
from landslide_scale.scene import Access, utc

keep_log_clean("urllib3.connectionpool")

MARGIN = timedelta(minutes=2)
"""A signature is renewed so long before it expires: a read may take a while."""

_TIMEOUT_S = (10, 30)
_LONGEST_ANSWER = 65_536
_LABEL = re.compile(r"[a-z0-9$][a-z0-9-]*")
_TOKEN = re.compile(r"[A-Za-z0-9%&=._~:/+,-]+")
_OK = 200


@dataclass(frozen=True, kw_only=True)
class _Token:
    query: str
    expires: datetime

    @property
    def good(self) -> bool:
        return datetime.now(UTC) < self.expires - MARGIN


_lock = threading.Lock()
_tokens: dict[str, _Token] = {}


def signed(href: str, access: Access) -> str:
    """The address with a signature that is good for a while, or as it is where its host wants none.

    Raises:
        ReadError: The signer cannot be reached, refuses, or answers with something else than a token.
    """
    source = _signer(href, access)
    if source is None:
        return href
    with _lock:  # one request, however many threads wait for the same token
        token = _tokens.get(source)
        if token is None or not token.good:
            token = _tokens[source] = _ask(source, access)
    return f"{href}{'&' if '?' in href else '?'}{token.query}"


def is_signed(href: str, access: Access) -> bool:
    """Whether an address is signed before it is read."""
    return _signer(href, access) is not None


def forget(href: str, access: Access, refused: str) -> None:
    """Give up the signature with which an address was `refused`, unless another one has taken its place."""
    source = _signer(href, access)
    with _lock:  # reads of one container are refused together, and the first of them may have asked anew by now
        token = None if source is None else _tokens.get(source)
        if source is not None and token is not None and refused.endswith(token.query):
            del _tokens[source]


def _signer(href: str, access: Access) -> str | None:
    """Where the signature of an address is asked for."""
    parts = urlsplit(href)
    if access.signer is None or "://" not in href or parts.hostname not in access.signed:
        return None
    account, container = parts.hostname.split(".")[0], parts.path.split("/")[1]
    if not _LABEL.fullmatch(account) or not _LABEL.fullmatch(container):
        raise PermanentReadError(
            f"account {account!r} and container {container!r}",
            expected="an address as https://ACCOUNT.blob.core.windows.net/CONTAINER/...",
            file=redacted(href),
        )
    return access.signer.replace("{account}", account).replace("{container}", container)


def _ask(source: str, access: Access) -> _Token:
    check_public(urlsplit(source).hostname or "", access, source)
    try:
        with requests.get(source, timeout=_TIMEOUT_S, allow_redirects=False, stream=True) as answer:
            if answer.status_code != _OK:
                raise _refused(answer, source)
            content = _beginning(answer)
    except requests.RequestException as error:
        raise TryAgainError(
            f"the signer cannot be reached ({type(error).__name__})", expected="a token", signer=source
        ) from None
    return _token(content, source)


def _beginning(answer: requests.Response) -> bytes:
    """The answer, of which no more is taken than a token can be long."""
    content = b""
    for piece in answer.iter_content(_LONGEST_ANSWER):
        content += piece
        if len(content) > _LONGEST_ANSWER:
            break
    return content


def _refused(answer: requests.Response, source: str) -> TryAgainError | PermanentReadError:
    status = answer.status_code
    kind = TryAgainError if may_pass(status) else PermanentReadError
    return kind(
        f"the signer answers with HTTP status {status}",
        expected="a token",
        signer=source,
        retry_after=answer.headers.get("Retry-After"),
    )


def _token(content: bytes, source: str) -> _Token:
    """What Planetary Computer answers: ``{"token": "st=...&sig=...", "msft:expiry": "2026-01-01T00:00:00Z"}``."""
    try:
        stated = json.loads(content)
        query, expires = stated["token"], utc(stated["msft:expiry"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PermanentReadError(
            f"the signer's answer is no token ({type(error).__name__})",
            expected="JSON with token and msft:expiry",
            signer=source,
        ) from None
    if not isinstance(query, str) or not _TOKEN.fullmatch(query):
        raise PermanentReadError(
            "the signer's token has characters that no query has", expected="name=value&...", signer=source
        )
    return _Token(query=query, expires=expires)
