"""A corpus of hostile input: every case is refused by name, and nothing forbidden is read, asked or run.

The forbidden things would all work if they were reached: a server on another loopback address that serves a good file
and counts who asks, a good file outside the allowed folders, and programs that leave a mark when they are run.
"""

from __future__ import annotations

import math
import os
import pickle
import socket
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import torch
from helpers.hostile import NORTH, SIDE, WEST, World
from helpers.scenes import item
from helpers.webserver import Answer, Asked, Site, certified, site

from landslide_scale.cards.file import read_card
from landslide_scale.errors import (
    InvalidCatalogError,
    InvalidCheckpointError,
    InvalidConfigError,
    LandslideScaleError,
    PermanentReadError,
)
from landslide_scale.model import load_base
from landslide_scale.model.checkpoint import restore
from landslide_scale.reading import geotiff
from landslide_scale.reading.network import check_public
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Access, Window, utc
from landslide_scale.stac.items import OWN_PREFIX, scenes
from landslide_scale.stac.providers import PROFILES
from landslide_scale.stac.search import MOST_ITEMS, search
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.strictyaml import load

pytestmark = pytest.mark.hostile

AUGUST = Window(start=utc("2023-08-01"), end=utc("2023-09-01"))
AREA = shapely.box(15.0, 46.0, 16.0, 47.0)


def test_the_good_file_and_the_good_address_are_read_so_that_refusals_mean_something(world: World):
    world.read(str(world.root / "red.tif"))
    world.read(world.serve("/red.tif", Answer(content=world.good)))
    moved = world.serve("/moved.tif", Answer.redirect(f"{world.front.address}/red.tif"))
    world.read(moved)  # a redirect on the same host is followed
    assert world.front.count("/moved.tif") >= 1


# Addresses in Items


def vrt(source: str) -> str:
    band = f"<SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource>"
    return (
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>{WEST}, 10, 0, {NORTH}, 0, -10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1">{band}</VRTRasterBand></VRTDataset>'
    )


def link(world: World, target: Path) -> str:
    (world.root / "link.tif").symlink_to(target)
    return str(world.root / "link.tif")


def loop(world: World) -> str:
    (world.root / "loop.tif").symlink_to(world.root / "loop.tif")
    return str(world.root / "loop.tif")


def port(world: World) -> int:
    return int(world.canary.address.rsplit(":", 1)[1])


HREFS: dict[str, Callable[[World], str]] = {
    "VRT inline": lambda w: vrt(str(w.secret)),
    "VRT inline behind a prefix": lambda w: f"vrt://{w.secret}",
    "vsicurl": lambda w: f"/vsicurl/{w.canary.address}/red.tif",
    "vsicurl with options": lambda w: f"/vsicurl?url={w.canary.address}/red.tif",
    "vsicurl below the root": lambda w: f"{w.root}/../../../../../../../../vsicurl/{w.canary.address}/red.tif",
    "vsizip": lambda w: f"/vsizip//vsicurl/{w.canary.address}/red.zip/red.tif",
    "vsimem": lambda _: "/vsimem/red.tif",
    "vsistdin": lambda _: "/vsistdin/",
    "vsisubfile": lambda w: f"/vsisubfile/0_10000,{w.secret}",
    "GTIFF_DIR": lambda w: f"GTIFF_DIR:1:{w.secret}",
    "file outside the roots": lambda w: f"file://{w.secret}",
    "path outside the roots": lambda w: str(w.secret),
    "file on another machine": lambda w: f"file://127.0.0.2{w.secret}",
    "dots": lambda w: f"{w.root}/../outside/secret.tif",
    "dots in code": lambda w: f"file://{w.root}/%2e%2e/outside/secret.tif",
    "link out of the root": lambda w: link(w, w.secret),
    "link to itself": loop,
    "NUL in a path": lambda w: f"{w.root}/red.tif\x00.png",
    "relative": lambda _: "../outside/secret.tif",
    "a million characters": lambda w: f"{w.root}/" + "a" * 1_000_000,
    "host not allowed": lambda w: f"{w.canary.address}/red.tif",
    "user before the host": lambda w: f"http://127.0.0.1@127.0.0.2:{port(w)}/red.tif",
    "backslash before the host": lambda w: f"http://127.0.0.2:{port(w)}\\@127.0.0.1/red.tif",
    "name like an allowed one": lambda w: f"http://127.0.0.1.example:{port(w)}/red.tif",
    "host as a number": lambda w: f"http://2130706434:{port(w)}/red.tif",
    "host in hexadecimal": lambda w: f"http://0x7f000002:{port(w)}/red.tif",
    "host as localhost": lambda w: f"http://localhost:{port(w)}/red.tif",
    "IPv6 loopback": lambda w: f"http://[::1]:{port(w)}/red.tif",
    "metadata service": lambda _: "http://169.254.169.254/latest/meta-data/red.tif",
    "line break in the address": lambda w: f"http://127.0.0.1/red.tif\r\nHost: 127.0.0.2:{port(w)}",
    "ftp": lambda _: "ftp://127.0.0.1/red.tif",
    "s3": lambda _: "s3://bucket/red.tif",
    "fsspec chain": lambda w: f"simplecache::{w.canary.address}/red.tif",
    "data": lambda _: "data:image/tiff;base64,SUkqAA==",
    "port that is none": lambda _: "http://127.0.0.1:99999/red.tif",
}


@pytest.mark.parametrize("name", HREFS)
def test_an_address_that_is_no_plain_one_of_an_allowed_place_is_refused_by_scene_and_asset(world: World, name: str):
    with pytest.raises(InvalidCatalogError) as caught:
        world.read(HREFS[name](world))
    assert caught.value.where["scene"] == "S2A_attack"
    assert "asset red" in str(caught.value) or "NUL" in name or "itself" in name
    assert len(str(caught.value)) < 10_000
    assert world.front.asked == []


# What allowed places answer

IMDS = "http://169.254.169.254/latest/meta-data/red.tif"


@contextmanager
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port of 127.0.0.2 that takes any connection, whatever is spoken on it."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        found: list[object] = []

        def take() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                found.append(address)
                connection.close()

        Thread(target=take, daemon=True).start()
        yield server.getsockname()[1], found
        server.shutdown(socket.SHUT_RDWR)


def to(address: str) -> Callable[[World], Answer]:
    return lambda _: Answer.redirect(address)


def only_gets_redirected(world: World) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        if asked.method == "HEAD":
            return Answer(content=world.good)
        return Answer.redirect(f"{world.canary.address}/red.tif")

    return answer


def in_two_hops(world: World) -> Answer:
    second = world.serve("/second.tif", Answer.redirect(f"{world.canary.address}/red.tif"))
    return Answer.redirect(second)


ANSWERS: dict[str, Callable[[World], Answer | Callable[[Asked], Answer]]] = {
    "redirect to another loopback address": lambda w: Answer.redirect(f"{w.canary.address}/red.tif"),
    "redirect to loopback by name": lambda w: Answer.redirect(f"http://localhost:{port(w)}/red.tif"),
    "redirect to IPv6 loopback": lambda w: Answer.redirect(f"http://[::1]:{port(w)}/red.tif"),
    "redirect to a number": lambda w: Answer.redirect(f"http://2130706434:{port(w)}/red.tif"),
    "redirect to the metadata service": to(IMDS),
    "redirect to a link-local IPv6 address": to("http://[fe80::1]/red.tif"),
    "redirect in two hops": in_two_hops,
    "redirect of GET alone": only_gets_redirected,
    "redirect to a file": lambda w: Answer.redirect(f"file://{w.secret}"),
    "redirect to ftp": lambda w: Answer.redirect(f"ftp://127.0.0.2:{port(w)}/red.tif"),
    "redirect without end": lambda w: Answer.redirect(f"{w.front.address}/attack.tif"),
    "VRT named tif": lambda w: Answer(content=vrt(f"/vsicurl/{w.canary.address}/red.tif").encode()),
    "VRT of a local file": lambda w: Answer(content=vrt(str(w.secret)).encode()),
    "a web page": lambda _: Answer(content=b"<html></html>"),
    "nothing": lambda _: Answer(content=b""),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_an_allowed_host_answers_leads_nowhere_else(world: World, name: str):
    href = world.serve("/attack.tif", ANSWERS[name](world))
    with pytest.raises(PermanentReadError) as caught:
        world.read(href)
    assert caught.value.where["scene"] == "S2A_attack"
    assert caught.value.where["band"] == "red"
    assert world.front.count("/attack.tif") >= 1


@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "ftps"])
def test_no_connection_is_made_to_where_a_redirect_leads_whatever_the_protocol(world: World, scheme: str):
    with listener() as (number, connections):
        href = world.serve("/attack.tif", Answer.redirect(f"{scheme}://127.0.0.2:{number}/red.tif"))
        with pytest.raises(PermanentReadError):
            world.read(href)
        assert connections == []


def test_over_tls_the_good_address_is_read_and_a_redirect_of_it_leads_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    certificate = certified(world.root.parent)
    monkeypatch.setenv("GDAL_CURL_CA_BUNDLE", str(certificate))
    moved = Answer.redirect(f"{world.canary.address}/red.tif")
    content = Answer(content=world.good)
    with site(lambda asked: moved if "moved" in asked.path else content, certificate=certificate) as front:
        world.read(f"{front.address}/red.tif")
        with pytest.raises(PermanentReadError, match="redirect"):
            world.read(f"{front.address}/moved.tif")
    assert front.count("/red.tif") >= 1


ADDRESSES = ["127.0.0.1", "10.0.0.7", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"]  # noqa: S104
ADDRESSES += ["::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_providers_name_that_leads_into_a_private_network_is_refused(monkeypatch: pytest.MonkeyPatch, address: str):
    host = f"host-{address}.example".replace(":", "-").replace("%", "-")
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("93.184.216.34", 0)), (0, 0, 0, "", (address, 0))]
    )
    with pytest.raises(PermanentReadError, match="public internet"):
        check_public(host, Access(hosts=(host,)), "https://x")
    check_public(host, Access(hosts=(host,), named=(host,)), "https://x")  # the user may name it


# Files that are bombs


def tiff(folder: Path, **changes: object) -> str:
    """A sparse file: it claims much and holds nothing."""
    plain: dict[str, Any] = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    plain |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH), "SPARSE_OK": True, "compress": "DEFLATE"}
    with rasterio.open(folder / "bomb.tif", "w", driver="GTiff", **(plain | changes)):
        pass
    return str(folder / "bomb.tif")


def endless_directories(folder: Path) -> str:
    """The directory after the first is the first."""
    content = bytearray((folder / "red.tif").read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    struct.pack_into("<H", content, first, 65_535)
    (folder / "bomb.tif").write_bytes(content)
    return str(folder / "bomb.tif")


def vrt_file(folder: Path) -> str:
    (folder / "bomb.tif").write_text(vrt(str(folder.parent / "outside" / "secret.tif")))
    return str(folder / "bomb.tif")


def scaled(resolution: float) -> rasterio.Affine:
    return rasterio.Affine(resolution, 0, WEST, 0, -resolution, NORTH)


BOMBS: dict[str, Callable[[Path], str]] = {
    "100 000 pixels square": lambda f: tiff(f, width=100_000, height=100_000, tiled=True),
    "one pixel high, two thousand million wide": lambda f: tiff(f, width=2_000_000_000, height=1, tiled=True),
    "one block of 400 million pixels": lambda f: tiff(
        f, width=20_000, height=20_000, tiled=True, blockxsize=20_000, blockysize=20_000
    ),
    "one strip of a whole tile": lambda f: tiff(f, width=10_980, height=10_980, blockysize=10_980),
    "pixels of a millimetre": lambda f: tiff(f, width=40_000, height=40_000, tiled=True, transform=scaled(0.001)),
    "pixels of a million kilometres": lambda f: tiff(f, transform=scaled(1e9)),
    "a thousand bands": lambda f: tiff(f, count=1000),
    "numbers of 16 bytes": lambda f: tiff(f, dtype="complex128"),
    "LZMA, which may claim 4 GB to unpack": lambda f: tiff(f, compress="LZMA"),
    "JPEG, which has a size of its own": lambda f: tiff(f, dtype="uint8", compress="JPEG"),
    "LERC, which has a size of its own": lambda f: tiff(f, compress="LERC"),
    "directories without end": endless_directories,
    "VRT named tif": vrt_file,
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_claims_too_much_is_refused_before_anything_is_allocated(world: World, name: str):
    path = BOMBS[name](world.root)
    tracemalloc.start()
    with pytest.raises(PermanentReadError) as caught:
        world.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.where["scene"] == "S2A_attack"
    assert caught.value.where["file"] == path
    assert peak < 20e6


def test_a_block_that_unpacks_to_a_thousand_times_its_size_costs_no_more_than_a_block_may(world: World):
    side = math.isqrt(geotiff.MAX_BLOCK)
    path = world.root / "zeros.tif"
    profile = {"width": side, "height": side, "count": 1, "dtype": "uint16", "crs": "EPSG:32633", "tiled": True}
    profile |= {"transform": scaled(10), "compress": "DEFLATE", "blockxsize": side, "blockysize": side}
    with rasterio.open(path, "w", driver="GTiff", **profile) as target:
        target.write(np.ones((1, side, side), np.uint16))
    assert path.stat().st_size * 500 < side * side * 2
    world.read(str(path))  # is read: what it unpacks to was bounded before


def test_a_file_beside_an_asset_adds_nothing_to_it(world: World):
    path = world.root / "red.tif"
    (world.root / "red.tif.aux.xml").write_text("<PAMDataset><GeoTransform>0,1,0,0,0,-1</GeoTransform></PAMDataset>")
    (world.root / "red.tif.ovr").write_text(vrt(str(world.secret)))
    world.read(str(path))


# What Items say


def changed(**properties: object) -> dict[str, Any]:
    return item("S2A_attack", assets={"red": "http://127.0.0.1/red.tif", "scl": "http://127.0.0.1/scl.tif"}) | {
        "properties": item("x")["properties"] | {key.replace("__", ":"): value for key, value in properties.items()}
    }


ITEMS: dict[str, dict[str, Any]] = {
    "id that climbs": changed() | {"id": "../../../../etc/passwd"},
    "id of dots": changed() | {"id": ".."},
    "id with a slash": changed() | {"id": "a/b"},
    "id with NUL": changed() | {"id": "S2A\x00"},
    "id with a line break": changed() | {"id": "S2A\nerror: all is well"},
    "id with terminal codes": changed() | {"id": "S2A\x1b[2J"},
    "id of a million characters": changed() | {"id": "S" * 1_000_000},
    "id that is a number": changed() | {"id": 7},
    "id that is a list": changed() | {"id": ["S2A"]},
    "datatake that climbs": changed(s2__datatake_id="../../secret"),
    "datastrip with NUL": changed(s2__datastrip_id="a\x00b"),
    "cloud cover that is no number": changed(eo__cloud_cover=math.nan),
    "bounds without end": changed(proj__bbox=[-math.inf, 0, math.inf, 1]),
    "bounds that are no numbers": changed(proj__bbox=[math.nan] * 4),
    "bounds turned round": changed(proj__bbox=[10, 10, 0, 0]),
    "system that does not exist": changed(proj__epsg=999_999),
    "system that is a program": changed(proj__epsg=None, proj__code="EPSG:32633; import os"),
    "flag that is a text": changed(earthsearch__boa_offset_applied="false"),
    "baseline that is a formula": changed(s2__processing_baseline="__import__('os')"),
    "no properties": changed() | {"properties": None},
    "no assets": changed() | {"assets": None},
}


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_that_says_what_no_item_should_is_refused_in_a_short_line(name: str):
    config = CatalogConfig(profile="earth-search-v1", allowed_hosts=("127.0.0.1",))
    with pytest.raises(InvalidCatalogError) as caught:
        scenes([ITEMS[name]], config, ("red",))
    text = str(caught.value)
    assert "scene" in caught.value.where
    assert len(text) < 3000
    assert text.isprintable()


def test_what_a_catalogue_says_in_our_words_is_not_believed():
    made = item("S2A_1")
    made["properties"][f"{OWN_PREFIX}offset_verdict"] = "removed"

    with catalogue([made]) as (_, url):
        (found,) = search(CatalogConfig(url=url, profile="plain"), AREA, [AUGUST])
    assert not any(key.startswith(OWN_PREFIX) for key in found["properties"])


# What catalogues answer


def landing(address: str) -> dict[str, Any]:
    search_link = {"rel": "search", "href": f"{address}/search", "type": "application/geo+json", "method": "POST"}
    classes = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": "made", "description": "made", "conformsTo": classes}
    return root | {"links": [{"rel": "root", "href": address}, {"rel": "self", "href": address}, search_link]}


@contextmanager
def catalogue(
    items: list[dict[str, Any]],
    *,
    begin: Callable[[str], Answer] = lambda address: Answer.of_json(landing(address)),
    link_to: Callable[[str], str] | None = None,
    found: Callable[[str], Answer] | None = None,
) -> Iterator[tuple[Site, str]]:
    """An API whose every page is the same, with a ``next`` link where one is given."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/search":
            next_link = [{"rel": "next", "href": link_to(running.address), "method": "POST"}] if link_to else []
            page = {"type": "FeatureCollection", "features": items, "links": next_link}
            return found(running.address) if found else Answer.of_json(page)
        return begin(running.address)

    with site(answer) as running:
        yield running, running.address


def elsewhere(address: str) -> str:
    return address.replace("127.0.0.1", "127.0.0.2").rsplit(":", 1)[0]


CATALOGUES: dict[str, Callable[[str], dict[str, Any]]] = {
    "landing page redirects": lambda canary: {"begin": lambda _: Answer.redirect(canary)},
    "search redirects": lambda canary: {"found": lambda _: Answer.redirect(f"{canary}/search")},
    "search link leads elsewhere": lambda canary: {"begin": lambda _: Answer.of_json(landing(canary))},
    "search link leads to a file": lambda _: {"begin": lambda _: Answer.of_json(landing(__file__))},
    "next link leads to a file": lambda _: {"link_to": lambda _: __file__},
    "next link leads to a file address": lambda _: {"link_to": lambda _: f"file://{__file__}"},
    "next link leads elsewhere": lambda canary: {"link_to": lambda _: f"{canary}/search"},
    "redirect to a file": lambda _: {"begin": lambda _: Answer.redirect("file:///etc/passwd")},
    "lists in lists": lambda _: {"found": lambda _: Answer(content=b"[" * 200_000)},
    "redirect without end": lambda _: {"begin": lambda address: Answer.redirect(address + "/again")},
}


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_leads_nowhere_but_to_itself(name: str):
    with ExitStack() as stack:
        canary = stack.enter_context(site(lambda _: Answer.of_json(landing("x")), host="127.0.0.2"))
        changes = CATALOGUES[name](canary.address)
        _, url = stack.enter_context(catalogue([item("S2A_1")], **changes))
        with pytest.raises(InvalidCatalogError) as caught:
            search(CatalogConfig(url=url, profile="plain"), AREA, [AUGUST])
    assert caught.value.where["catalogue"] == url
    assert canary.asked == []


def test_a_catalogue_that_gives_the_same_page_for_ever_is_left():
    with catalogue([item("S2A_1")], link_to=lambda address: f"{address}/search") as (running, url):
        found = search(CatalogConfig(url=url, profile="plain"), AREA, [AUGUST])
    assert [one["id"] for one in found] == ["S2A_1"]
    assert running.count("/search") == 2


def test_a_catalogue_that_gives_new_items_for_ever_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("landslide_scale.stac.search.MOST_ITEMS", 50)
    assert MOST_ITEMS > 100_000
    count = iter(range(10_000))

    def page(address: str) -> Answer:
        items = [item(f"S2A_{next(count)}") for _ in range(20)]
        link = {"rel": "next", "href": f"{address}/search", "method": "POST"}
        return Answer.of_json({"type": "FeatureCollection", "features": items, "links": [link]})

    with catalogue([], found=page) as (running, url), pytest.raises(InvalidCatalogError, match="more than 50"):
        search(CatalogConfig(url=url, profile="plain"), AREA, [AUGUST])
    assert running.count("/search") == 3


# Checkpoints and configurations that are programs


class Marks:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def pickled(folder: Path) -> str:
    (folder / "c.safetensors").write_bytes(pickle.dumps(Marks(folder / "MARK")))
    return str(folder / "c.safetensors")


def pickled_by_torch(folder: Path) -> str:
    torch.save({"image_encoder.x": Marks(folder / "MARK")}, folder / "c.safetensors")
    return str(folder / "c.safetensors")


def of_bytes(content: bytes) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / "c.safetensors").write_bytes(content)
        return str(folder / "c.safetensors")

    return write


CHECKPOINTS: dict[str, Callable[[Path], str]] = {
    "pickle": pickled,
    "pickle of PyTorch": pickled_by_torch,
    "header of an exabyte": of_bytes(struct.pack("<Q", 1 << 60) + b"{}"),
    "header of lists in lists": of_bytes(struct.pack("<Q", 400_000) + b"[" * 400_000),
    "tensors beyond the file": of_bytes(
        struct.pack("<Q", 70) + b'{"x":{"dtype":"F32","shape":[999999,999999],"data_offsets":[0,9]}}    '
    ),
    "nothing": of_bytes(b""),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("use", [read_card, restore, lambda path: load_base(path, None)])
def test_a_checkpoint_runs_nothing_and_is_refused_by_its_file(tmp_path: Path, name: str, use: Callable[[str], object]):
    path = CHECKPOINTS[name](tmp_path)
    with pytest.raises(InvalidCheckpointError) as caught:
        use(path)
    assert caught.value.where["file"] == path
    assert not (tmp_path / "MARK").exists()


def laughs() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines)


CONFIGURATIONS = {
    "python object": "region: !!python/object/apply:os.mkdir [MARK]",
    "python name": "region: !!python/name:os.system",
    "python module": "region: !!python/module:os",
    "tag of one's own": "region: !run {}",
    "aliases that grow tenfold": laughs(),
    "alias of itself": "region: &a [*a]",
    "lists in lists": "[" * 100_000,
    "two documents": "region: {}\n---\nregion: {}",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_runs_nothing_and_is_refused_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.yaml").write_text(CONFIGURATIONS[name])
    with pytest.raises(InvalidConfigError) as caught:
        load(ScanConfig, tmp_path / "scan.yaml")
    assert caught.value.where["file"] == str(tmp_path / "scan.yaml")
    assert not (tmp_path / "MARK").exists()


def test_the_corpus_is_as_large_as_was_promised():
    corpus = [HREFS, ANSWERS, BOMBS, ITEMS, CATALOGUES, CHECKPOINTS, CONFIGURATIONS]
    assert sum(len(part) for part in corpus) >= 25
    assert issubclass(InvalidCatalogError, LandslideScaleError)
    assert set(PROFILES) == {"earth-search-c1", "earth-search-v1", "planetary-computer", "plain"}
