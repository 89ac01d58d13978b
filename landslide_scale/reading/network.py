"""How reads over HTTP are kept to the hosts they may touch.

GDAL follows redirects by itself and has no setting against it, so an allowed host could send a read to 127.0.0.1 or to
a cloud's metadata service. Its connections are therefore given a proxy that does not exist, from which only the allowed
hosts are exempt (libcurl reads the list from ``no_proxy``): a hop to any other host is refused before it is made.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from functools import lru_cache
from urllib.parse import urlsplit

import requests

from landslide_scale.errors import PermanentReadError, TryAgainError
from landslide_scale.redaction import redacted
from landslide_scale.scene import Access

NOWHERE = "http://127.0.0.1:9"
"""A port below 1024, which no user's process can be listening on."""

_PROXY_SETTINGS = ("http_proxy", "https_proxy", "all_proxy", "gdal_http_proxy", "gdal_https_proxy")
_REMEMBERED_S = 60
_ASIDE_S = 3

_lock = threading.Lock()
_exempt: set[str] = set()


def confining_options(href: str, access: Access) -> dict[str, str]:
    """GDAL's settings for a read of an http(s) address, none for a file; exempts the allowed hosts in this process.

    Where the environment names a proxy of its own, that proxy decides what can be reached, and nothing is set.

    Raises:
        ReadError: The host's name leads into a private network, or nowhere.
    """
    host = urlsplit(href).hostname if "://" in href else None
    if host is None or has_own_proxy():
        return {}
    hosts = access.hosts or (host,)
    check_public(host, access, redacted(href))
    with _lock:
        if not _exempt.issuperset(hosts):
            _exempt.update(hosts)
            os.environ["no_proxy"] = ",".join(sorted(_exempt))
    return {"GDAL_HTTP_PROXY": NOWHERE, "GDAL_HTTPS_PROXY": NOWHERE}


def retry_after(address: str) -> str | None:
    """What a server that is busy says under Retry-After now; None where it says nothing, or cannot be asked.

    Of an answer's headers GDAL tells nothing, so the server is asked once more.
    """
    try:
        with requests.head(address, timeout=_ASIDE_S, allow_redirects=False) as answer:
            return answer.headers.get("Retry-After")
    except requests.RequestException:
        return None


def has_own_proxy() -> bool:
    """Whether whoever runs this reaches the network through a proxy."""
    return any(os.environ.get(name) for key in _PROXY_SETTINGS for name in (key, key.upper()))


def check_public(host: str, access: Access, what: str) -> None:
    """Refuse a host whose name leads to loopback, link-local or private addresses, unless the user named it.

    Raises:
        PermanentReadError: It does.
        TryAgainError: The name cannot be resolved now.
    """
    if not access.hosts or host in access.named or has_own_proxy():
        return
    inner = [address for address in _addresses(host, int(time.monotonic() // _REMEMBERED_S)) if not _public(address)]
    if inner:
        raise PermanentReadError(
            f"host {host} is at {inner[0]}",
            expected="an address of the public internet",
            cure=f"Name the host under {access.section}.allowed_hosts if you trust it.",
            file=what,
        )


def _public(address: str) -> bool:
    known = ipaddress.ip_address(address)
    return known.is_global and not known.is_multicast


@lru_cache(maxsize=256)
def _addresses(host: str, minute: int) -> tuple[str, ...]:
    """Addresses of a host's name, remembered for a minute."""
    del minute
    try:
        return tuple(sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None)}))
    except (OSError, UnicodeError) as error:
        raise TryAgainError(f"host {host} cannot be resolved ({error})", expected="a known host") from error
