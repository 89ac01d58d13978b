"""How many connections reading takes, and that they are used again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import scene
from helpers.webserver import Answer, give, listening

from landslide_scale.errors import PermanentReadError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.connections import CONNECTIONS, connections
from landslide_scale.reading.geotiff import reading
from landslide_scale.reading.threads import Crew, check_wanted, in_order
from landslide_scale.scene import Access, Scene

SIDE = 1536
"""Three blocks of 512 along each side, of which those of a row lie behind each other."""

BANDS = ("red", "green", "blue")


class Counted:
    """Whoever has asked for what."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()
        self.asked: list[tuple[str, str, str]] = []
        self.peers: set[tuple[str, int]] = set()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.peers.add(handler.client_address)
            self.asked.append((handler.command, handler.path, handler.headers.get("Range", "")))
        give(handler, Answer(content=(self.folder / handler.path.lstrip("/")).read_bytes()))


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[tuple[Counted, list[Scene]]]:
    """Six datatakes on a server that counts."""
    server = Counted(tmp_path)
    with listening(server.handle, protocol="HTTP/1.1") as address:
        yield server, [made(tmp_path, number, address) for number in range(6)]


def made(folder: Path, number: int, address: str) -> Scene:
    random = np.random.default_rng(number)
    bands = {band: random.integers(1, 9000, (SIDE, SIDE)).astype(np.uint16) for band in BANDS}
    one = scene(
        folder,
        f"s{number}",
        bands,
        np.full((SIDE // 2, SIDE // 2), 4, np.uint8),
        west=500_000,
        north=5_100_000,
        datatake=f"GS2A_202308{10 + number}T100031_042590",
    )
    return at(address, one)


def at(place: str, one: Scene) -> Scene:
    return replace(one, assets=tuple((name, f"{place}/{Path(href).name}") for name, href in one.assets))


def seen(scenes: list[Scene]) -> bytes:
    lattice = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=1024)
    x0, y0 = lattice.zone.origin
    top, left = round((y0 - 5_100_000) / 10) + 200, round((500_000 - x0) / 10) + 200
    box = PixelBox(row_start=top, row_stop=top + 1024, col_start=left, col_stop=left + 1024)
    return observe(scenes, lattice, box, BANDS, CompositeConfig()).values.tobytes()


@pytest.mark.parametrize("most", [1, 3, CONNECTIONS])
def test_the_reads_of_a_unit_share_so_many_connections_whatever_is_read_at_once(
    counted: tuple[Counted, list[Scene]], most: int
):
    server, scenes = counted
    connections.let(most)
    try:
        values = seen(scenes)
    finally:
        connections.let(CONNECTIONS)
    assert len({path for _, path, _ in server.asked}) == 4 * len(scenes)
    assert len(server.peers) <= most, "and those of threads that had none before"
    assert values == seen([at(str(server.folder), one) for one in scenes])


def test_a_read_that_waited_while_what_it_is_a_part_of_failed_is_not_begun():
    begun, entered, held = list[str](), threading.Event(), threading.Event()

    def failing() -> None:
        begun.append("first")
        entered.set()
        held.wait(20)
        raise PermanentReadError("gone", expected="a file")

    def until_nobody_wants_it(within: Context) -> None:
        begun.append("another")
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            within.run(check_wanted)
            time.sleep(0.01)

    def comes_later(number: int) -> None:
        entered.wait(20)
        reading(f"https://made.example/{number}.tif", Access(), partial(until_nobody_wants_it, copy_context()))

    connections.let(1)
    try:
        first = partial(reading, "https://made.example/first.tif", Access(), failing)
        calls = [first, *(partial(comes_later, number) for number in range(3))]
        threading.Timer(0.3, held.set).start()
        with pytest.raises(PermanentReadError, match="gone"):
            list(in_order(calls, Crew("made"), ahead=3))
    finally:
        connections.let(CONNECTIONS)
    assert begun[0] == "first"
    assert len(begun) <= 2, "one may pass the gate before it is known that the first has failed"


def test_nothing_is_asked_for_twice(counted: tuple[Counted, list[Scene]]):
    server, scenes = counted
    seen(scenes)
    assert len(server.asked) == len(set(server.asked))
