"""Base weights that many processes of a machine want at once, from a server on loopback that counts and fails."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest
from helpers.faultserver import FaultServer, fault_server
from helpers.webserver import Answer, Asked, site

from landslide_scale.errors import BrokenRunError, InvalidCheckpointError, StorageAwayError
from landslide_scale.storage import absence, cache, files
from landslide_scale.storage.absence import patient
from landslide_scale.storage.cache import bytes_to_fetch, local_copy, user_cache
from landslide_scale.storage.files import read_range, sha256_at

CONTENT = random.Random(0).randbytes(3_000_000)  # noqa: S311 any bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FETCH = (
    "import sys\n"
    "from pathlib import Path\n"
    "from landslide_scale.storage.cache import local_copy\n"
    "sys.stdin.readline()\n"
    "print(local_copy(sys.argv[1], sys.argv[2] or None, Path(sys.argv[3])), flush=True)\n"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "sam.pth").write_bytes(CONTENT)
    fsspec.filesystem("http").clear_instance_cache()
    with fault_server(FaultServer(folder=folder)) as running:
        yield running


def gets(server: FaultServer) -> int:
    return server.count("/sam.pth", "GET")


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def fetching(url: str, sha256: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, url, sha256, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("sha256", [SHA256, ""], ids=["hash", "none"])
def test_eight_processes_at_once_fetch_it_once(server: FaultServer, tmp_path: Path, sha256: str):
    url, folder = f"{server.address}/sam.pth", tmp_path / "cache"
    processes = [fetching(url, sha256, folder) for _ in range(8)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, said
    (copy,) = {Path(out.strip()) for out, _ in said}
    assert copy.read_bytes() == CONTENT
    assert gets(server) == 1
    assert kept(folder) == [copy.name]


def test_a_killed_download_holds_nobody_up_and_leaves_nothing_half(server: FaultServer, tmp_path: Path):
    url, folder = f"{server.address}/sam.pth", tmp_path / "cache"
    server.fault = lambda _: "stalled"
    server.times = 1
    with fetching(url, SHA256, folder) as process:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        while not gets(server):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert local_copy(url, SHA256, folder).read_bytes() == CONTENT
    assert kept(folder) == [f"{SHA256}.pth"]


def test_what_may_pass_is_tried_again(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.05)
    for number, fault in enumerate(("503", "429", "500", "reset", "truncated")):
        server.reset()
        server.fault = lambda _, fault=fault: fault
        assert local_copy(f"{server.address}/sam.pth", SHA256, tmp_path / str(number)).read_bytes() == CONTENT
        assert gets(server) == 3


@pytest.mark.parametrize("fault", ["503", "reset", "truncated"])
def test_what_lasts_is_said_as_what_may_work_later(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    monkeypatch.setattr(cache, "WRITER_S", 0.5)
    server.fault, server.times = lambda _: fault, 1000
    with pytest.raises(StorageAwayError) as caught:
        local_copy(f"{server.address}/sam.pth", SHA256, tmp_path / "cache")
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (1, False)
    assert kept(tmp_path / "cache") == []


@pytest.mark.parametrize("fault", ["403", "404"])
def test_what_is_refused_is_asked_for_once(server: FaultServer, tmp_path: Path, fault: str):
    server.fault, server.times = lambda _: fault, 1000
    with pytest.raises(InvalidCheckpointError, match="cannot be read"):
        local_copy(f"{server.address}/sam.pth", SHA256, tmp_path / "cache")
    assert gets(server) == 1
    assert kept(tmp_path / "cache") == []


@pytest.fixture
def closed() -> Iterator[str]:
    """Host and port where nobody listens, and nobody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "ask",
    [
        lambda url, folder: local_copy(url, SHA256, folder),
        lambda url, folder: local_copy(url, SHA256, folder, size=len(CONTENT)),
        lambda url, _: bytes_to_fetch(url, SHA256),
        lambda url, _: read_range(url, 0, 8),
    ],
    ids=["fetched", "fetched by size", "foreseen", "a part"],
)
def test_a_host_that_nobody_answers_at_is_away_and_is_named(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str, Path], object]
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "WRITER_S", 0.1)
    with pytest.raises(StorageAwayError) as caught, patient(0.1):
        ask(f"http://{closed}/sam.pth", tmp_path / "cache")
    said = str(caught.value)
    assert f"the connection to {closed} failed (Connection refused)" in said
    assert "give a file on this machine" in said
    assert (caught.value.exit_code, "\n" in said) == (1, False)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("403", "cannot be read (ClientResponseError: 403"), ("404", "cannot be read (FileNotFoundError")],
)
def test_a_file_that_is_refused_is_not_called_absent(server: FaultServer, tmp_path: Path, fault: str, said: str):
    server.fault, server.times = lambda _: fault, 1000
    with pytest.raises(InvalidCheckpointError) as caught:
        local_copy(f"{server.address}/sam.pth", SHA256, tmp_path / "cache", size=len(CONTENT))
    assert said in str(caught.value)


def test_a_server_that_is_too_busy_to_say_how_large_a_file_is_is_asked_again(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.05)
    server.fault, server.times = lambda _: "503", 2
    assert local_copy(f"{server.address}/sam.pth", SHA256, tmp_path / "cache", size=len(CONTENT)).exists()


@pytest.mark.parametrize(("start", "stop"), [(0, 8), (8, 100), (2_999_990, 3_000_000), (0, None)])
def test_a_part_is_a_part_from_a_server_that_knows_no_parts(tmp_path: Path, start: int, stop: int | None):
    (tmp_path / "sam.pth").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/sam.pth"
            assert read_range(url, start, stop) == CONTENT[start:stop]
            assert sha256_at(url, len(CONTENT)) == SHA256
        finally:
            server.shutdown()


def test_a_copy_is_hashed_once_as_long_as_it_is_as_it_was(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    url, folder = f"{server.address}/sam.pth", tmp_path / "cache"
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return files.file_sha256(path)

    monkeypatch.setattr(cache, "file_sha256", counting)
    copy = local_copy(url, SHA256, folder)
    assert (local_copy(url, SHA256, folder), len(hashed)) == (copy, 1)
    before = copy.stat()
    copy.write_bytes(b"x" + CONTENT[1:])
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    with caplog.at_level(logging.WARNING):
        assert local_copy(url, SHA256, folder).read_bytes() == CONTENT
    assert "fetched anew" in caplog.text
    assert gets(server) == 2
    own = tmp_path / "served" / "sam.pth"
    hashed.clear()
    for _ in range(3):
        assert local_copy(str(own), SHA256, folder) == own
    assert hashed == [own]
    own.write_bytes(b"other")
    with pytest.raises(InvalidCheckpointError, match="SHA-256"):
        local_copy(str(own), SHA256, folder)


def test_a_note_that_is_damaged_is_not_believed(server: FaultServer, tmp_path: Path):
    url, folder = f"{server.address}/sam.pth", tmp_path / "cache"
    local_copy(url, SHA256, folder)
    for content in (b"", b"[]", b"{}", b'{"state": 1}', b"\xff"):
        (folder / "checked" / f"{SHA256}.json").write_bytes(content)
        assert local_copy(url, SHA256, folder).read_bytes() == CONTENT
    assert gets(server) == 1


def test_a_cache_that_cannot_be_written_to_is_named_with_the_cure(server: FaultServer, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(InvalidCheckpointError, match="XDG_CACHE_HOME") as caught:
            local_copy(f"{server.address}/sam.pth", SHA256, folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert gets(server) == 0
    own = tmp_path / "served" / "sam.pth"  # of which nothing has to be kept
    assert local_copy(str(own), SHA256, tmp_path / "file") == own


def test_a_full_disk_is_said_as_such(server: FaultServer, tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))  # what a quota does, and what needs no rights
    try:
        with pytest.raises(BrokenRunError, match="no room is left") as caught:
            local_copy(f"{server.address}/sam.pth", SHA256, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path / "cache") in str(caught.value)
    assert gets(server) == 1
    assert kept(tmp_path / "cache") == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "landslide_scale"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert user_cache() == tmp_path / "home" / ".cache" / "landslide_scale"
    monkeypatch.delenv("XDG_CACHE_HOME")
    script = (
        "import os\n"
        "from landslide_scale.storage.cache import user_cache\n"
        "del os.environ['HOME']\n"
        "os.getuid = lambda: 4_000_000_000\n"
        "try: user_cache()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("InvalidCheckpointError no folder for copies")
    assert "XDG_CACHE_HOME" in done.stdout


def test_a_download_that_takes_long_but_goes_on_is_not_given_up():
    assert files.options("https://host/sam.pth")["client_kwargs"]["timeout"].total is None


def test_a_login_page_in_place_of_the_file_is_not_kept(tmp_path: Path):
    def answer(_: Asked) -> Answer:
        return Answer(content=b"<html>", headers={"Content-Type": "text/html"})

    with site(answer) as running, pytest.raises(InvalidCheckpointError, match="SHA-256"):
        local_copy(f"{running.address}/sam.pth", SHA256, tmp_path / "cache")
    assert kept(tmp_path / "cache") == []
