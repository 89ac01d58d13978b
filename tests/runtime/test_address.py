"""What is no address of a cluster is refused before Ray is asked, and what does not speak as one within a bound."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from helpers.webserver import Answer, site

from landslide_scale.errors import ClusterAwayError, InvalidConfigError
from landslide_scale.runtime import address
from landslide_scale.runtime.address import Wanted, check_answers, wanted

SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The first word of a server of HTTP/2."""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    monkeypatch.setattr(address, "NOT_YET_S", 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8265", "https://head:8265", "ray://head:10001", "RAY://head:10001", "anyscale://x", "head",
        "127.0.0.1", "head:", "head:0", "head:99999", "head:6379/", "head:six", ":6379", "a b:6379", "head:6379,b:6379",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_the_key_that_says_it(text: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InvalidConfigError, match="no address of a Ray cluster") as caught:
        wanted(text)
    assert caught.value.where == {"key": "compute.address"}
    monkeypatch.setenv("RAY_ADDRESS", text)
    with pytest.raises(InvalidConfigError, match=r"key RAY_ADDRESS"):
        wanted(None)


def test_the_dashboards_address_is_refused_with_what_it_is_for():
    with pytest.raises(InvalidConfigError, match="ray job submit"):
        wanted("http://127.0.0.1:8265")


@pytest.mark.parametrize("text", ["head:6379", "10.0.0.1:1", "[::1]:6379", "ray-head.ns.svc.cluster.local:6379"])
def test_an_address_of_host_and_port_is_taken(text: str):
    assert wanted(text) == Wanted(kind="at", address=text, key="compute.address")


@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_and_an_empty_text_is_a_cluster_of_our_own(text: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert wanted(text).kind == "local"
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert wanted(text) == Wanted(kind="at", address="head:6379", key="RAY_ADDRESS")
    assert wanted("local").kind == "local"
    assert wanted("auto").kind == "auto"


def at(where: str) -> Wanted:
    return Wanted(kind="at", address=where, key="RAY_ADDRESS")


@contextmanager
def server(*words: bytes) -> Iterator[str]:
    """The address of a server that accepts, says something (or nothing) to each, and hangs up once it has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            for said in words:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(64)
                    connection.sendall(said)

        thread = Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_web_server_is_no_cluster():
    with site(lambda _: Answer()) as running, pytest.raises(InvalidConfigError, match="an HTTP server listens"):
        check_answers(at(running.address.removeprefix("http://")))


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"-ERR unknown command\r\n", b"", b"\x15\x03\x01\x00\x02"]
)
def test_another_service_is_no_cluster(said: bytes):
    with server(said) as where, pytest.raises(InvalidConfigError, match="no Ray cluster listens"):
        check_answers(at(where))


def test_a_port_that_accepts_and_says_nothing_is_left_within_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "GREETING_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ClusterAwayError, match="says nothing"):
        check_answers(at(f"127.0.0.1:{silent.getsockname()[1]}"))


def test_a_port_nobody_listens_on_and_a_host_nobody_knows_may_be_there_later():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ClusterAwayError, match="Connection refused") as caught:
        check_answers(at(f"127.0.0.1:{port}"))
    assert caught.value.exit_code == 1
    with pytest.raises(ClusterAwayError, match="cannot be reached"):
        check_answers(at("nowhere.invalid:6379"))


def test_what_speaks_http_2_is_left_to_ray():
    with server(SETTINGS) as where:
        check_answers(at(where))


def test_a_head_that_is_being_started_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(address, "NOT_YET_S", 30.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked: list[float] = []

    def begin(seconds: float) -> None:
        asked.append(seconds)
        listener = socket.create_server(("127.0.0.1", port))
        Thread(target=lambda: listener.accept()[0].sendall(SETTINGS), daemon=True).start()

    monkeypatch.setattr(address.time, "sleep", begin)
    check_answers(at(f"127.0.0.1:{port}"))
    assert len(asked) == 1
