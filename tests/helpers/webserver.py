"""A web server of one's own on loopback, for the tests: every request is counted, every answer is a function's."""

from __future__ import annotations

import ipaddress
import json
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, content: object, status: int = 200) -> Answer:
        return cls(status=status, content=json.dumps(content).encode(), headers={"Content-Type": "application/json"})

    @classmethod
    def redirect(cls, to: str) -> Answer:
        return cls(status=302, headers={"Location": to})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request: its method, its path without the query, its query, its body."""

    method: str
    path: str
    query: str
    body: bytes


@dataclass(kw_only=True)
class Site:
    """What a server was asked, and where it is."""

    address: str
    asked: list[Asked] = field(default_factory=list)

    def count(self, path: str) -> int:
        return sum(one.path == path for one in self.asked)


_GIVEN: set[int] = set()
"""Ports that servers of this process had: GDAL keeps what an address held for as long as its process lives."""


def _on_a_port_of_its_own(begin: Callable[[], ThreadingHTTPServer]) -> ThreadingHTTPServer:
    """A server whose address no server before it had in this process."""
    with ExitStack() as had_before:
        while (found := begin()).server_port in _GIVEN:
            had_before.enter_context(found)  # open for as long, or the system would give its port again
    _GIVEN.add(found.server_port)
    return found


@contextmanager
def listening(
    handle: Callable[[BaseHTTPRequestHandler], None],
    *,
    host: str = "127.0.0.1",
    certificate: Path | None = None,
    protocol: str = "HTTP/1.0",
) -> Iterator[str]:
    """The address of a server all of whose requests are answered by `handle`; over TLS with a certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = protocol

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            handle(self)

        do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 http.server's names

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # of a client that went away
                super().handle_error(request, client_address)

    with _on_a_port_of_its_own(lambda: Listener((host, 0), Handler)) as listener:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"{'http' if certificate is None else 'https'}://{host}:{listener.server_port}"
        finally:
            listener.shutdown()
            thread.join()


@contextmanager
def site(answer: Callable[[Asked], Answer], host: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[Site]:
    """A server that answers parts of what `answer` gives where a range is asked for; over TLS with a certificate."""

    def handle(handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(method=handler.command, path=parts.path, query=parts.query, body=body)
        running.asked.append(asked)
        give(handler, answer(asked))

    with listening(handle, host=host, certificate=certificate) as address:
        running = Site(address=address)
        yield running


def give(handler: BaseHTTPRequestHandler, found: Answer) -> None:
    content, status, headers = found.content, found.status, dict(found.headers)
    wanted = handler.headers.get("Range")
    if status == 200 and wanted:
        first, last = wanted.removeprefix("bytes=").split("-")
        content, status = content[int(first) : int(last) + 1 if last else None], 206
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(content) - 1}/{len(found.content)}"
    handler.send_response(status)
    for name, value in (headers | {"Content-Length": str(len(content))}).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)


def certified(folder: Path, host: str = "127.0.0.1") -> Path:
    """A file with a key and a certificate of its own for a host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
