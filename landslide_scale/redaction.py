"""Texts without the secrets that addresses carry in user information, queries and fragments.

Error texts of libraries repeat addresses whole, in halves, or as the path and query alone; all three are cut.
"""

from __future__ import annotations

import logging
import re
from typing import Any

_USER = re.compile(r"(?<=://)[^/?#\s'\"<>]*@")
_REST_OF_URL = re.compile(r"(://[^\s?#'\"<>]*)[?#][^\s'\"<>]*")
_QUERY = re.compile(r"\?[\w.~%+-]+=[^\s'\"<>]*")
_NAMED = re.compile(
    r"(\b(?:sig|signature|token|access_token|api_key|apikey|secret|password|x-amz-[a-z-]+)|(?<=&)key)=[^\s&'\"<>)]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r" object at 0x[0-9a-fA-F]+")
_LONGEST = 4000
_SHOWN = 500


def redacted(url: str) -> str:
    """The URL without user information, query and fragment; a path as it is."""
    if "://" not in url:
        return url
    without_user = re.sub(r"(?<=://)[^/?#]*@", "", url)
    return re.split(r"[?#]", without_user, maxsplit=1)[0]


def without_secrets(text: str) -> str:
    """A text, such as a library's message, without the secrets of any address in it."""
    return _NAMED.sub(r"\1=...", _QUERY.sub("", _REST_OF_URL.sub(r"\1", _USER.sub("", text))))


def sayable(text: str) -> str:
    """A text from outside, fit for one line of a log: no secrets, memory addresses or control characters."""
    clean = _ADDRESS.sub("", without_secrets(text[:_LONGEST]))
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)
    return plain if len(text) <= _LONGEST else f"{plain[:_SHOWN]}... ({len(text):,} characters)"


def redacted_values(content: Any) -> Any:  # noqa: ANN401 JSON
    """A tree of mappings and lists in which every address is redacted."""
    if isinstance(content, dict):
        return {key: redacted_values(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [redacted_values(value) for value in content]
    return redacted(content) if isinstance(content, str) else content


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
