"""A real S3 server for the tests (moto's), and a proxy before it that counts, slows down, and kills."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import s3fs
from helpers.webserver import listening

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message><RequestId>1</RequestId></Error>"
)
DENIED = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>'
RESET = 0
"""In place of a status: the connection ends without an answer."""

CHANGING = {"PUT", "POST", "DELETE"}
DONE = 300

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
WITHIN_S = 60


@contextmanager
def moto() -> Iterator[str]:
    """The address of an S3 server without any content."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + WITHIN_S
            while not answers(port):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    body: bytes = field(default=b"", compare=False, repr=False)

    @property
    def key(self) -> str:
        """Of the object, below its bucket; empty where the request is about the bucket."""
        return self.path.partition("?")[0].lstrip("/").partition("/")[2]


@dataclass
class Proxy:
    """Passes requests on to a server and notes them; refuses, or says nothing at all, where it is told to.

    Attributes:
        answer: Status and body of what is refused.
        lose: What never arrives at the server.
        forget: What the server does, and whose answer does not arrive.
        changed: What the server did of changes, in order.
    """

    server: str
    refuse: Callable[[Request], bool] = lambda _: False
    lose: Callable[[Request], bool] = lambda _: False
    after: Callable[[Request], object] = lambda _: None
    forget: Callable[[Request], bool] = lambda _: False
    answer: tuple[int, bytes] = (503, SLOW_DOWN)
    passed: list[Request] = field(default_factory=list)
    refused: list[Request] = field(default_factory=list)
    changed: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Request(method=handler.command, path=handler.path, body=body)
        with self.lock:
            refused = self.refuse(request)
            (self.refused if refused else self.passed).append(request)
        if refused:
            status, said = self.answer
            if status == RESET:
                handler.close_connection = True
                return
            respond(handler, status, [("Content-Type", "application/xml")], b"" if request.method == "HEAD" else said)
            return
        if self.lose(request):
            handler.close_connection = True
            return
        status, headers, content, length = self.forward(handler, body)
        if status < DONE and request.method in CHANGING:
            with self.lock:
                self.changed.append(request)
        self.after(request)
        if self.forget(request):
            handler.close_connection = True
            return
        respond(handler, status, headers, content, length)

    def forward(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes, str | None]:
        connection = http.client.HTTPConnection(self.server, timeout=WITHIN_S)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
        connection.request(handler.command, handler.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
        connection.close()
        return response.status, kept, content, response.getheader("Content-Length")

    def reset(self) -> None:
        self.passed.clear()
        self.refused.clear()
        self.changed.clear()

    def count(self, method: str, part: str) -> int:
        """Answered requests of a method for objects whose name holds `part`."""
        return sum(one.method == method and part in one.key for one in self.passed)


def respond(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: list[tuple[str, str]],
    content: bytes,
    length: str | None = None,
) -> None:
    try:
        handler.send_response_only(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", length if handler.command == "HEAD" and length else str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
    except (BrokenPipeError, ConnectionResetError):
        handler.close_connection = True  # of a client that was killed


@contextmanager
def proxied(server: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before a server, and its address."""
    proxy = Proxy(server)
    with listening(proxy.handle, protocol="HTTP/1.1") as address:
        yield proxy, address


@contextmanager
def bucket(patch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """An S3 server with an empty bucket of that name, behind a proxy, and an environment that leads there."""
    with moto() as server, proxied(server) as (proxy, url):
        settle(patch, url)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bucket")
        yield proxy
    s3fs.S3FileSystem.clear_instance_cache()


def contents(url: str) -> dict[str, bytes]:
    """All below a URL, by its name there."""
    files = s3fs.S3FileSystem(use_listings_cache=False)
    root = url.removeprefix("s3://")
    return {name.removeprefix(root): content for name, content in files.cat(files.find(root)).items()}


def local(folder: Path) -> dict[str, bytes]:
    """As :func:`contents`, of a folder."""
    return {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def settle(patch: pytest.MonkeyPatch, url: str) -> None:
    """What a user sets to reach an S3 server of their own."""
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("AWS_ACCESS_KEY_ID", "made")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "made")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("NO_PROXY", "127.0.0.1")
