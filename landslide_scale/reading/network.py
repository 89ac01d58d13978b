"""How reads over HTTP are kept to the hosts they may touch.

GDAL follows redirects by itself and has no setting against it, so an allowed host could send a read to 127.0.0.1 or to
a cloud's metadata service. Its connections are therefore given a proxy that does not exist, from which only the allowed
hosts are exempt (libcurl reads the list from ``no_proxy``): a hop to any other host is refused before it is made.

Behind a proxy of one's own, that proxy decides: for the schemes that it is for, and for every host but those that are
allowed and exempt from it, whatever else ``no_proxy`` exempts. A scheme without a proxy has the one that is not there.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from functools import lru_cache
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import requests
from requests.utils import should_bypass_proxies

from landslide_scale.errors import PermanentReadError, TryAgainError
from landslide_scale.redaction import redacted
from landslide_scale.scene import Access

NOWHERE = "http://127.0.0.1:9"
"""A port below 1024, which no user's process can be listening on."""

_NOBODY = "nobody.invalid"
"""In place of an empty list, which libcurl takes for none and looks for another."""

_REMEMBERED_S = 60
_ASIDE_S = 3

_lock = threading.Lock()
_exempt: set[str] = set()


def confining_options(href: str, access: Access) -> dict[str, str]:
    """GDAL's settings for a read; exempts the hosts allowed for an http(s) address in this process.

    A file gets them too: nothing that it says may make GDAL ask a server.

    Raises:
        ReadError: The host's name leads into a private network, or nowhere.
    """
    parts = urlsplit(href) if "://" in href else None
    if parts is None or parts.hostname is None:
        return {"GDAL_HTTP_PROXY": NOWHERE, "GDAL_HTTPS_PROXY": NOWHERE}
    own = {scheme: _proxy_of_gdal(scheme) for scheme in ("http", "https")}
    hosts = access.hosts or (parts.hostname,)
    if own.get(parts.scheme):
        direct = [host for host in hosts if _exempt_by_user(parts.scheme, host)]
    else:
        check_public(parts.hostname, access, redacted(href))
        # Behind a proxy for the other scheme, a host that is exempt here would be for that one too.
        direct = [parts.hostname] if any(own.values()) else list(hosts)
    _exempt_for_gdal(direct)
    return {"GDAL_HTTP_PROXY": own["http"] or NOWHERE, "GDAL_HTTPS_PROXY": own["https"] or NOWHERE}


def _exempt_for_gdal(hosts: list[str]) -> None:
    """Let libcurl reach these hosts without a proxy, and of all others none, whatever the user exempts.

    In the environment that libraries in C see and not in :data:`os.environ`, by which Python's own go: what reads the
    catalogue and what stores the run keep the user's exemptions.
    """
    with _lock:
        _exempt.update(hosts)
        os.putenv("no_proxy", ",".join(sorted(_exempt)) or _NOBODY)


def _proxy_of_gdal(scheme: str) -> str:
    told = (f"GDAL_{scheme.upper()}_PROXY", "GDAL_HTTP_PROXY")
    return next((os.environ[name] for name in told if os.environ.get(name)), "") or _proxy(scheme)


def _proxy(scheme: str) -> str:
    """The proxy that the environment names for a scheme; empty where it names none."""
    known = getproxies_environment()
    return known.get(scheme) or known.get("all") or ""


def _exempt_by_user(scheme: str, host: str) -> bool:
    return bool(should_bypass_proxies(f"{scheme}://{host}", no_proxy=None))


def retry_after(address: str) -> str | None:
    """What a server that is busy says under Retry-After now; None where it says nothing, or cannot be asked.

    Of an answer's headers GDAL tells nothing, so the server is asked once more.
    """
    try:
        with requests.head(address, timeout=_ASIDE_S, allow_redirects=False) as answer:
            return answer.headers.get("Retry-After")
    except requests.RequestException:
        return None


def check_public(host: str, access: Access, what: str) -> None:
    """Refuse a host whose name leads to loopback, link-local or private addresses, unless the user named it.

    Args:
        host: Its name or number.
        access: Which hosts the user named.
        what: The address that is asked, without secrets. Behind a proxy for its scheme, that proxy decides.

    Raises:
        PermanentReadError: It does.
        TryAgainError: The name cannot be resolved now.
    """
    scheme = urlsplit(what).scheme
    if not access.hosts or host in access.named or (_proxy(scheme) and not _exempt_by_user(scheme, host)):
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
