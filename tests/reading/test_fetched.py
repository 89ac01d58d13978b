"""One file over HTTP: asked for again where that may help, from the hosts that may be asked, and not without end."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from helpers.faultserver import FaultServer, fault_server
from helpers.webserver import Answer, certified, listening, site

from landslide_scale.errors import PermanentReadError, TryAgainError
from landslide_scale.reading import asking, attempts
from landslide_scale.reading.asking import ATTEMPTS, MOST_REDIRECTS, fetched
from landslide_scale.scene import Access

HERE = Access(hosts=("127.0.0.1",), named=("127.0.0.1",), section="events")
MOST = 1_000_000


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", made.append)
    return made


@pytest.mark.parametrize("access", [HERE, Access()])
def test_a_file_is_read_whole(access: Access):
    with site(lambda _: Answer(content=b"ab" * 200_000)) as server:
        assert fetched(f"{server.address}/a?b=c", access, most_bytes=MOST) == b"ab" * 200_000
        assert [(one.path, one.query) for one in server.asked] == [("/a", "b=c")]


def test_no_content_is_nothing():
    with site(lambda _: Answer(status=204)) as server:
        assert fetched(server.address, HERE, most_bytes=MOST) == b""


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "truncated"])
def test_what_may_pass_is_asked_for_again(fault: str, tmp_path: Path, waits: list[float]):
    (tmp_path / "a").write_bytes(b"whole")
    with fault_server(
        FaultServer(folder=tmp_path, fault=lambda _: fault, times=2, headers={"Retry-After": "7"})
    ) as server:
        assert fetched(f"{server.address}/a", HERE, most_bytes=MOST) == b"whole"
        assert server.count("/a") == 3
    assert len(waits) == 2
    assert (min(waits) >= 7) == fault.isdigit()


def test_what_stays_away_may_come_back():
    with site(lambda _: Answer(status=503)) as server:
        with pytest.raises(TryAgainError, match="HTTP status 503"):
            fetched(server.address, HERE, most_bytes=MOST)
        assert len(server.asked) == ATTEMPTS


@pytest.mark.parametrize("fault", ["silent", "stalled", "dripping"])
def test_a_slow_answer_is_not_waited_for_without_end(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asking, "ATTEMPT_S", 0.3)
    monkeypatch.setattr(asking, "ATTEMPTS", 2)
    (tmp_path / "a").write_bytes(b"x" * 1000)
    with (
        fault_server(FaultServer(folder=tmp_path, fault=lambda _: fault, times=9)) as server,
        pytest.raises(TryAgainError, match=r"not read within 0\.3 s"),
    ):
        fetched(f"{server.address}/a", HERE, most_bytes=MOST)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 501])
def test_what_will_not_pass_is_asked_for_once_and_says_its_status(status: int):
    with site(lambda _: Answer(status=status)) as server:
        with pytest.raises(PermanentReadError) as caught:
            fetched(server.address, HERE, most_bytes=MOST)
        assert len(server.asked) == 1
    assert caught.value.where["status"] == str(status)


def test_what_is_too_large_is_not_read_to_its_end():
    sent: list[int] = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 10_000:
                handler.wfile.write(b"x" * 65_536)
                sent.append(1)
        except OSError:
            return

    with listening(endless) as address, pytest.raises(PermanentReadError, match="more than 1,000,000 bytes"):
        fetched(address, HERE, most_bytes=MOST)
    assert len(sent) < 1000


def test_redirects_are_followed_to_hosts_that_may_be_asked_and_to_no_other():
    with (
        site(lambda _: Answer(content=b"there"), host="127.0.0.2") as other,
        site(
            lambda asked: Answer(content=b"here") if asked.path == "/b" else Answer.redirect(asked.query or "/b")
        ) as server,
    ):
        assert fetched(f"{server.address}/a", HERE, most_bytes=MOST) == b"here"
        for to in (f"{other.address}/x", "file:///etc/passwd", "ftp://127.0.0.1/a"):
            with pytest.raises(PermanentReadError, match="allowed_hosts"):
                fetched(f"{server.address}/a?{to}", HERE, most_bytes=MOST)
        assert other.asked == []
        both = Access(hosts=("127.0.0.1", "127.0.0.2"), named=("127.0.0.1", "127.0.0.2"))
        assert fetched(f"{server.address}/a?{other.address}/x", both, most_bytes=MOST) == b"there"
        inner = Access(hosts=("127.0.0.1", "127.0.0.2"), named=("127.0.0.1",))
        with pytest.raises(PermanentReadError, match="an address of the public internet"):
            fetched(f"{server.address}/a?{other.address}/x", inner, most_bytes=MOST)


def test_redirects_in_a_circle_come_to_an_end():
    with site(lambda _: Answer.redirect("/again")) as server:
        with pytest.raises(PermanentReadError, match=f"more than {MOST_REDIRECTS} redirects"):
            fetched(server.address, HERE, most_bytes=MOST)
        assert len(server.asked) == MOST_REDIRECTS + 1


def test_a_certificate_that_nobody_believes_is_not_waited_for(tmp_path: Path, waits: list[float]):
    with site(lambda _: Answer(content=b"x"), certificate=certified(tmp_path)) as server:
        with pytest.raises(PermanentReadError, match="certificate"):
            fetched(server.address, HERE, most_bytes=MOST)
        assert server.asked == []
    assert waits == []


@pytest.mark.parametrize("address", ["http://", "nothing", "http://127.0.0.1:port/a", "http://127.0.0.1:99999/"])
def test_an_address_that_is_none_is_refused(address: str):
    with pytest.raises(PermanentReadError):
        fetched(address, HERE, most_bytes=MOST)


def test_no_secret_of_an_address_comes_out():
    with site(lambda _: Answer(status=403)) as server:
        address = server.address.replace("//", "//user:xSECRETx@")
        with pytest.raises(PermanentReadError) as caught:
            fetched(f"{address}/a?key=xSECRETx", HERE, most_bytes=MOST)
    assert "xSECRETx" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
