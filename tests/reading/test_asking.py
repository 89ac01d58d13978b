"""What may pass is asked again, what will not pass is not; each by a real server, counted."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from helpers.faultserver import gone
from helpers.webserver import Answer, certified, give, listening, site

from landslide_scale.errors import AwayError, TryAgainError
from landslide_scale.reading import asking, attempts
from landslide_scale.reading.asking import PatientAdapter

TIMES = 2
"""How often a server fails before it answers."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", made.append)
    return made


def session() -> requests.Session:
    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, PatientAdapter())
    return made


@contextmanager
def failing(fail: Callable[[BaseHTTPRequestHandler], None], times: float = TIMES) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that answers properly once it has failed so often, and the methods it was asked by."""
    asked: list[str] = []

    def handle(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked.append(handler.command)
        if len(asked) <= times:
            fail(handler)
        else:
            give(handler, Answer(content=b"done"))

    with listening(handle) as address:
        yield address, asked


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: give(handler, Answer(status=code))


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def nothing(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")


def no_gzip(handler: BaseHTTPRequestHandler) -> None:
    give(handler, Answer(content=b"plain", headers={"Content-Encoding": "gzip"}))


FAULTS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    **{str(code): status(code) for code in (408, 425, 429, 500, 502, 503, 504, 521)},
    "a reset": reset,
    "no answer": nothing,
    "a body cut short": cut_short,
    "a body that is not what it says": no_gzip,
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_pass_is_asked_again_a_post_too(fault: str, method: str, waits: list[float]):
    with failing(FAULTS[fault]) as (address, asked):
        answer = session().request(method, address, json={} if method == "POST" else None, timeout=5)
    assert (answer.status_code, answer.content) == (200, b"done")
    assert asked == [method] * (TIMES + 1)
    assert len(waits) == TIMES


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410, 501, 505])
def test_what_will_not_pass_is_asked_once(code: int, waits: list[float]):
    with failing(status(code)) as (address, asked):
        assert session().get(address, timeout=5).status_code == code
    assert (asked, waits) == (["GET"], [])


def test_waits_grow_and_what_lasts_is_said_by_its_last_failure(waits: list[float]):
    with failing(status(503), times=99) as (address, asked), pytest.raises(TryAgainError, match="HTTP status 503"):
        session().post(address, json={}, timeout=5)
    assert len(asked) == asking.ATTEMPTS
    assert all(0.5 * 2**n <= seconds <= 2**n for n, seconds in enumerate(waits))


def in_seconds(seconds: float) -> Callable[[], str]:
    return lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("asked_for", "least", "most"),
    [(lambda: "7", 7, 7), (in_seconds(25), 10, 25), (lambda: "3600", 30, 30), (in_seconds(-9), 0.5, 2)],
)
def test_what_a_server_asks_for_is_waited_for_within_a_bound(
    asked_for: Callable[[], str], least: float, most: float, waits: list[float]
):
    def busy(handler: BaseHTTPRequestHandler) -> None:
        give(handler, Answer(status=429, headers={"Retry-After": asked_for()}))

    with failing(busy) as (address, _):
        session().post(address, json={}, timeout=5)
    assert all(least <= seconds <= most for seconds in waits)
    assert len(waits) == TIMES


def test_each_hop_of_a_redirect_is_asked_again_by_itself(waits: list[float]):
    counts = {"/here": 0, "/there": 0}

    def handle(handler: BaseHTTPRequestHandler) -> None:
        counts[handler.path] += 1
        if counts[handler.path] == 1:
            give(handler, Answer(status=502))
        else:
            give(handler, Answer.redirect("/there") if handler.path == "/here" else Answer(content=b"done"))

    with listening(handle) as address:
        assert session().get(f"{address}/here", timeout=5).content == b"done"
    assert counts == {"/here": 2, "/there": 2}
    assert len(waits) == 2


def test_nothing_that_listens_and_no_such_host_may_pass(waits: list[float]):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(TryAgainError, match="Connection refused"):
        session().get(f"http://127.0.0.1:{port}", timeout=5)
    with pytest.raises(TryAgainError, match=r"Name or service not known|No address|Temporary failure"):
        session().get("http://nowhere.invalid", timeout=5)
    assert len(waits) == 2 * (asking.ATTEMPTS - 1)


def test_a_server_that_accepts_and_says_nothing_is_left_and_asked_again(waits: list[float]):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TryAgainError, match="no answer in time"):
        session().get(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
    assert len(waits) == asking.ATTEMPTS - 1


def test_a_body_by_dribs_and_drabs_is_bounded_as_a_whole(waits: list[float], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asking, "ATTEMPT_S", 0.2)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not gone(handler, 0.02):
            handler.wfile.write(b".")

    with failing(drip, times=99) as (address, _), pytest.raises(AwayError, match=r"not read within 0\.2 s, 2 times"):
        session().get(address, timeout=5)
    assert len(waits) == 1


def test_a_certificate_that_is_not_believed_will_not_pass(tmp_path: Path, waits: list[float]):
    with (
        site(lambda _: Answer(), certificate=certified(tmp_path)) as running,
        pytest.raises(requests.exceptions.SSLError),
    ):
        session().get(running.address, timeout=5)
    assert waits == []


def test_a_server_that_speaks_no_tls_will_not_pass(waits: list[float]):
    with site(lambda _: Answer()) as running, pytest.raises(requests.exceptions.SSLError):
        session().get(running.address.replace("http:", "https:"), timeout=5)
    assert waits == []


def test_each_wait_is_said_in_one_line_without_secrets(waits: list[float], caplog: pytest.LogCaptureFixture):
    with failing(status(503)) as (address, _):
        session().get(f"{address}/search?sig=SECRET", timeout=5)
    assert [line.count("\n") for line in caplog.messages] == [0] * len(waits)
    assert all("attempt" in line and "HTTP status 503" in line and address in line for line in caplog.messages)
    assert "SECRET" not in caplog.text
