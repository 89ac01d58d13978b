"""Texts without the secrets that addresses, headers and settings carry.

Error texts of libraries repeat addresses whole, in halves, or as the path and query alone, headers as they were sent,
and settings as they were written; all of them are cut. What a name says is secret is cut whatever stands around it: one
table of names, with any beginning, and any of ``=``, ``:``, ``%3D`` and quotes behind them.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

_IN_ADDRESS = r"[^\s'\"<>]"
_USER = re.compile(
    # A secret may hold any character, `/` and `?` among them: what has a user's form is cut up to the last @.
    rf"(?<=://)(?:[^/?#\s'\"<>:@\[\]]*:(?!\d{{1,5}}(?!\w)){_IN_ADDRESS}{{0,4096}}|[^/?#\s'\"<>]{{0,4096}})@"
)
_HALF_USER = re.compile(rf"(?<=://)([^/?#\s'\"<>:@\[\]]+):(?!\d{{1,5}}(?!\w)){_IN_ADDRESS}+")
"""A user and a beginning of a secret, of which what follows is not there: a port would be a number."""

_REST_OF_URL = re.compile(r"(://[^\s?#'\"<>]{0,4096})[?#][^\s'\"<>]*")
_QUERY = re.compile(r"\?[\w.~%+-]{1,200}=[^\s'\"<>]*")

_NAMES = (
    r"secret|token|pass(?:word|wd|phrase)|signature|credentials?|authorization"
    r"|(?:api|access|account|shared|private|subscription|secret|signing|session)[-_ ]?key(?:[-_ ]?id)?"
    r"|x-(?:amz|goog|ms)-[a-z-]+"
)
_NAMES_BEFORE_EQUALS = r"(?<![a-z])(?:sig|policy|apikey|auth|pwd)|(?<=[?&])key"
"""Words that have other meanings too: a value follows where the sign is one of assignment."""

_ASSIGNED = r"(?:=|%3D)"
_BEHIND = rf"(?:\\?[\"'])?\s{{0,3}}(?:{_ASSIGNED}|:|%3A)\s{{0,3}}|[\"']\s{{0,3}},\s{{0,3}}(?=b?[\"'])"
_VALUE = (
    r"(?P<quote>b?\\?[\"'])?(?:(?:Bearer|Basic|Digest|SharedKey|Token|AWS4-HMAC-SHA256)\s{1,3}(?!Credential=))?"
    r"(?(quote)[^\"'\\\n]{1,4096}|[^\s&'\"<>),;}\]]{1,4096})"
)
_NAMED = re.compile(
    rf"(?P<name>(?:{_NAMES})(?:{_BEHIND})|(?:{_NAMES_BEFORE_EQUALS})(?:\\?[\"'])?(?:\s{{0,3}}{_ASSIGNED}\s{{0,3}}|(?<=[\"'])\s{{0,3}}:\s{{0,3}}))"
    rf"{_VALUE}",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer)\s{1,3}[^\s'\"<>,;)\]}]{6,4096}", re.IGNORECASE)
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|\b(?:sig|policy|apikey|pwd))\Z", re.IGNORECASE)
_PLAIN = re.compile(r"[\w./-]*")
"""A text with no sign that stands between a name and a value, or in an address, and no space."""

_CUT = "..."

_ADDRESS = re.compile(r" object at 0x[0-9a-fA-F]+")
_LONGEST = 4000
_SHOWN = 500


def redacted(url: str) -> str:
    """The URL without user information, query and fragment; a path as it is."""
    _, mark, rest = url.partition("://")
    if not mark or not any(sign in rest for sign in "@:?#"):
        return url
    without_user = _HALF_USER.sub(rf"\1:{_CUT}", _USER.sub("", url))
    return re.split(r"[?#]", without_user, maxsplit=1)[0]


def without_secrets(text: str) -> str:
    """A text, such as a library's message, without the secrets of any address, header or setting in it."""
    if _PLAIN.fullmatch(text):
        return text
    without_users = _HALF_USER.sub(rf"\1:{_CUT}", _USER.sub("", text))
    without_named = _BEARER.sub(rf"\1 {_CUT}", _NAMED.sub(_named, without_users))
    return _QUERY.sub("", _REST_OF_URL.sub(r"\1", without_named))


def _named(found: re.Match[str]) -> str:
    return f"{found['name']}{found['quote'] or ''}{_CUT}"


def sayable(text: str) -> str:
    """A text from outside, fit for one line of a log: no secrets, memory addresses or control characters."""
    # Cleaned before it is cut, for half a secret is not known as one; of an endless text more than is shown, not all.
    clean = _ADDRESS.sub("", without_secrets(text[: 3 * _LONGEST]))
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)
    return plain if len(text) <= _LONGEST else f"{plain[:_SHOWN]}... ({len(text):,} characters)"


def redacted_values(content: Any) -> Any:  # noqa: ANN401 JSON
    """A tree of mappings and lists in which every address is redacted, and what a name says is secret is not said."""
    if isinstance(content, dict):
        return {key: _CUT if _is_secret(key, value) else redacted_values(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [redacted_values(value) for value in content]
    if not isinstance(content, str):
        return content
    return _redacted_text(content) if len(content) <= _SHOWN else _redacted_text.__wrapped__(content)


@lru_cache(maxsize=4096)
def _redacted_text(text: str) -> str:
    """Of a tree of Items most texts are in many."""
    return redacted(text) if "://" in text and not re.search(r"\s", text) else without_secrets(text)


def _is_secret(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, str) and value != "" and _says_secret(key)


@lru_cache(maxsize=4096)
def _says_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name))


def keep_log_clean(*loggers: str) -> None:
    """Cut secrets from what libraries log: some log addresses whole, and warnings reach standard error by default."""
    for name in loggers:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _WithoutSecrets) for known in logger.filters):
            logger.addFilter(_WithoutSecrets())


class _WithoutSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_secrets(record.getMessage()), ()
        return True
