"""Where a Ray cluster is said to be: what is no address of one is refused, and what answers there is looked at.

Ray itself waits for a quarter of an hour where nothing listens, and then ends with a trace; so it is asked last.
"""

from __future__ import annotations

import os
import re
import socket
import time
from dataclasses import dataclass
from typing import Literal

from landslide_scale.errors import ClusterAwayError, InvalidConfigError

NOT_YET_S = 10.0
"""How long a head that is being started, and the name it will have, are waited for."""

CONNECT_S = 10.0
GREETING_S = 10.0
"""For the first word of a server; a head at full load takes a second."""

HEAD = "HOST:6379, the port of the cluster's head; inside of `ray job submit` no address is needed"
_FORM = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
_MOST_PORT = 65_535

# gRPC is HTTP/2, in which both sides begin with their settings (RFC 9113, 3.4).
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS, _KIND_AT = 4, 3


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which cluster is asked for.

    Attributes:
        kind: ``local``: our own, which never grows; ``auto``: the one that runs on this machine; ``at``: at an address.
        address: As Ray takes it.
        key: Where it is said.
    """

    kind: Literal["local", "auto", "at"]
    address: str
    key: str

    def __str__(self) -> str:
        return "the cluster on this machine (auto)" if self.kind == "auto" else f"the cluster at {self.address}"


def wanted(address: str | None) -> Wanted:
    """The cluster that a configuration asks for, or else ``RAY_ADDRESS``; our own local one where neither does.

    Raises:
        InvalidConfigError: It is no address of a cluster.
    """
    for text, key in ((address, "compute.address"), (os.environ.get("RAY_ADDRESS"), "RAY_ADDRESS")):
        if text and text.strip():
            return _read(text.strip(), key)
    return Wanted(kind="local", address="local", key="compute.address")


def _read(text: str, key: str) -> Wanted:
    if text in {"local", "auto"}:
        return Wanted(kind="local" if text == "local" else "auto", address=text, key=key)
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in {"http", "https"}:
        raise _no_address(text, key, "This is where `ray job submit` sends a job; the job itself needs no address.")
    if scheme == "ray":
        raise _no_address(
            text, key, "A Ray client cannot carry a run that lasts: submit a job, or begin on a node of the cluster."
        )
    form = _FORM.fullmatch(text)
    if form is None or not 0 < int(form["port"]) <= _MOST_PORT:
        raise _no_address(text, key, "")
    return Wanted(kind="at", address=text, key=key)


def _no_address(text: str, key: str, cure: str) -> InvalidConfigError:
    return InvalidConfigError(f"{text!r} is no address of a Ray cluster", expected=HEAD, cure=cure, key=key)


def check_answers(cluster: Wanted) -> None:
    """Make sure that something which speaks as a cluster's head does listens at an address.

    Raises:
        ClusterAwayError: Its host is not known, nothing listens, or what does says nothing.
        InvalidConfigError: Something else listens.
    """
    host, _, port = cluster.address.rpartition(":")
    end = time.monotonic() + NOT_YET_S
    while True:
        try:
            _greet(host.strip("[]"), int(port), cluster)
        except OSError as error:
            if time.monotonic() >= end:
                raise away(f"{cluster.address} cannot be reached ({error.strerror or error})", cluster) from None
            time.sleep(1.0)
        else:
            return


def away(found: str, cluster: Wanted) -> ClusterAwayError:
    """An error of a cluster that may be there later."""
    return ClusterAwayError(
        found,
        expected="a Ray cluster",
        cure="Start it (`ray start --head`, `ray status` shows it), or name another one; without an address a run "
        "starts its own.",
        key=cluster.key,
    )


def _greet(host: str, port: int, cluster: Wanted) -> None:
    with socket.create_connection((host, port), timeout=CONNECT_S) as connection:
        if os.environ.get("RAY_USE_TLS", "0") not in {"", "0"}:
            return  # it would have to be greeted in TLS; Ray tells what is wrong with that
        connection.settimeout(GREETING_S)
        connection.sendall(_HELLO)
        try:
            said = connection.recv(64)
        except TimeoutError:
            raise away(f"what listens at {cluster.address} says nothing for {GREETING_S:g} s", cluster) from None
        except ConnectionError:
            said = b""
    web = said.startswith((b"HTTP/", b"<"))
    if web or len(said) <= _KIND_AT or said[_KIND_AT] != _SETTINGS:
        what = "an HTTP server" if web else "something that is no Ray cluster"
        raise InvalidConfigError(f"{what} listens at {cluster.address}", expected=HEAD, key=cluster.key)
