"""Files over HTTP/1.1, range by range, from a server on loopback that counts what it sends and fails as it is told."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from helpers.webserver import listening

Fault = Literal["403", "404", "429", "500", "503", "reset", "stalled", "truncated", "silent", "dripping"]
"""What may become of a request: a status; a reset; half of the body, and then nothing more, or the end; no answer; a
body by dribs and drabs."""

OF_BODIES: tuple[Fault, ...] = ("stalled", "truncated", "dripping")
"""Faults that an answer without a body cannot have."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: `first` and `last` byte asked for (closed), how many bytes of the file were sent, and its fault."""

    method: str
    path: str
    query: str
    first: int
    last: int
    sent: int
    fault: Fault | None
    status: int


@dataclass(kw_only=True)
class FaultServer:
    """What is served, how it fails, and what was asked.

    Attributes:
        folder: Files are served from here.
        fault: What is wrong with a file, by its path.
        times: How often each file fails; then it is served.
        strikes: Which ranges can fail, by their first byte.
        headers: Of answers that are a status.
        drip_bytes: What comes of a dripping body every second, by path.
    """

    folder: Path
    fault: Callable[[str], Fault | None] = lambda _: None
    times: float = 2
    strikes: Callable[[int], bool] = lambda _: True
    headers: dict[str, str] = field(default_factory=dict)
    drip_bytes: Callable[[str], int] = lambda _: 1
    address: str = ""
    asked: list[Request] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, path: str, method: str = "") -> int:
        return sum(one.path == path and method in one.method for one in self.asked)

    def sent(self, path: str) -> int:
        return sum(one.sent for one in self.asked if one.path == path)

    def reset(self) -> None:
        self.asked.clear()
        self.failed.clear()

    def strike(self, method: str, path: str, first: int) -> Fault | None:
        """The fault of this request."""
        fault = self.fault(path)
        if fault is None or (method == "HEAD" and fault in OF_BODIES) or not self.strikes(first):
            return None
        with self.lock:
            if self.failed[path] >= self.times:
                return None
            self.failed[path] += 1
        return fault

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        file = self.folder / parts.path.lstrip("/")
        content = file.read_bytes() if file.is_file() else None
        first, last = ranged(handler, len(content or b""))
        fault = self.strike(handler.command, parts.path, first)
        status = 404 if content is None else 206
        if fault is not None and fault.isdigit():
            status = int(fault)
        part = content[first : last + 1] if content is not None and status == 206 else b""
        sent = len(part) // 2 if fault in OF_BODIES else len(part)
        if handler.command == "HEAD" or fault in {"reset", "silent"}:
            sent = 0
        asked = Request(
            method=handler.command,
            path=parts.path,
            query=parts.query,
            first=first,
            last=last,
            sent=sent,
            fault=fault,
            status=status,
        )
        with self.lock:
            self.asked.append(asked)
        with suppress(ConnectionError):  # of a client that gave up
            self.answer(handler, asked, part, len(content or b""))

    def answer(self, handler: BaseHTTPRequestHandler, asked: Request, part: bytes, whole: int) -> None:
        if asked.fault == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            return
        if asked.fault == "silent":
            gone(handler)
            return
        ranges = "Range" in handler.headers
        handler.send_response(asked.status if asked.status != 206 or ranges else 200)
        if asked.status == 206:
            handler.send_header("Accept-Ranges", "bytes")
            if ranges:
                handler.send_header("Content-Range", f"bytes {asked.first}-{asked.first + len(part) - 1}/{whole}")
        else:
            for name, value in self.headers.items():
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        if asked.fault == "dripping":
            drip(handler, part, self.drip_bytes(asked.path))
        elif handler.command != "HEAD":
            handler.wfile.write(part[: asked.sent])
        if asked.fault == "stalled":
            gone(handler)
        handler.close_connection |= asked.fault in OF_BODIES


def ranged(handler: BaseHTTPRequestHandler, size: int) -> tuple[int, int]:
    """First and last byte asked for, closed."""
    wanted = handler.headers.get("Range")
    if wanted is None:
        return 0, size - 1
    first, last = wanted.removeprefix("bytes=").split("-")
    return int(first), min(int(last), size - 1)


def gone(handler: BaseHTTPRequestHandler, within_s: float | None = None) -> bool:
    """Wait until the client has closed its side; whether it has."""
    ready, _, _ = select.select([handler.connection], [], [], within_s)
    handler.close_connection = bool(ready)
    return bool(ready)


def drip(handler: BaseHTTPRequestHandler, part: bytes, a_second: int) -> None:
    for first in range(0, len(part), a_second):
        handler.wfile.write(part[first : first + a_second])
        if gone(handler, 1.0):
            return


@contextmanager
def fault_server(server: FaultServer) -> Iterator[FaultServer]:
    """`server` with an address, as long as the block takes."""
    with listening(server.handle, protocol="HTTP/1.1") as server.address:
        yield server
