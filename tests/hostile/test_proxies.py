"""Proxies of one's own: what they do not decide stays confined, and what they exempt is not thereby allowed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from helpers.hostile import World
from helpers.webserver import Answer, Asked, Site, site

from landslide_scale.errors import PermanentReadError
from landslide_scale.reading import network
from landslide_scale.reading.network import check_public, confining_options
from landslide_scale.scene import Access

pytestmark = pytest.mark.hostile

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ALLOWED = Access(hosts=("127.0.0.1",), named=("127.0.0.1",))


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A proxy that lets nothing through, in an environment without any; libcurl's own list is as in a new process."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(network, "_exempt", set())
    with site(lambda _: Answer(status=403)) as running:
        yield running
    os.unsetenv("no_proxy")


def redirecting(world: World) -> str:
    moved = Answer.redirect(f"{world.canary.address}/red.tif")
    return world.serve("/attack.tif", moved)


def good(world: World) -> str:
    return world.serve("/good.tif", Answer(content=world.good))


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "GDAL_HTTPS_PROXY"])
def test_a_proxy_for_https_alone_leaves_http_confined(
    world: World, proxy: Site, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, proxy.address)
    world.read(good(world))
    with pytest.raises(PermanentReadError):
        world.read(redirecting(world))
    assert world.front.count("/attack.tif") >= 1
    assert proxy.asked == []


EXEMPT = ["127.0.0.1,127.0.0.2", "127.0.0.0/8", "*", "127.0.0.1 127.0.0.2,169.254.169.254", ".0.0.2,127.0.0.1"]


@pytest.mark.parametrize("exempt", EXEMPT)
@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY", "GDAL_HTTP_PROXY"])
def test_a_host_that_is_exempt_from_a_proxy_is_not_thereby_allowed(
    world: World, proxy: Site, monkeypatch: pytest.MonkeyPatch, name: str, exempt: str
):
    monkeypatch.setenv(name, proxy.address)
    monkeypatch.setenv("NO_PROXY", exempt.replace(" ", ","))
    world.read(good(world))
    with pytest.raises(PermanentReadError):
        world.read(redirecting(world))
    assert len(proxy.asked) >= 1  # which let nothing through
    assert os.environ["NO_PROXY"] == exempt.replace(" ", ",")
    assert "no_proxy" not in os.environ  # what reads the catalogue and stores the run keeps its exemptions


def test_behind_a_proxy_all_that_is_not_exempt_goes_through_it(
    world: World, proxy: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", proxy.address)
    with pytest.raises(PermanentReadError):
        world.read(good(world))
    assert world.front.asked == []
    assert len(proxy.asked) >= 1


def test_a_proxy_that_passes_on_is_read_through(world: World, proxy: Site, monkeypatch: pytest.MonkeyPatch):
    def passed(asked: Asked) -> Answer:
        assert asked.path == "/good.tif"
        return Answer(content=world.good)

    with site(passed) as through:
        monkeypatch.setenv("http_proxy", through.address)
        world.read("http://127.0.0.1:1/good.tif")
    assert len(through.asked) >= 1
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_scheme_has_the_proxy_that_is_not_there_unless_it_has_another(
    proxy: Site, monkeypatch: pytest.MonkeyPatch, scheme: str
):
    other = {"http": "https", "https": "http"}[scheme]
    monkeypatch.setenv(f"{scheme}_proxy", proxy.address)
    found = confining_options("http://127.0.0.1/a.tif", ALLOWED)
    assert found[f"GDAL_{scheme.upper()}_PROXY"] == proxy.address
    assert found[f"GDAL_{other.upper()}_PROXY"] == network.NOWHERE
    assert confining_options("/a.tif", ALLOWED) == {
        "GDAL_HTTP_PROXY": network.NOWHERE,
        "GDAL_HTTPS_PROXY": network.NOWHERE,
    }


@pytest.mark.parametrize(("variable", "refused"), [("https_proxy", True), ("http_proxy", False)])
def test_names_are_looked_up_unless_a_proxy_for_their_scheme_does_it(
    proxy: Site, monkeypatch: pytest.MonkeyPatch, variable: str, *, refused: bool
):
    monkeypatch.setenv(variable, proxy.address)
    monkeypatch.setattr(network, "_addresses", lambda *_: ("10.0.0.7",))
    access = Access(hosts=("provider.example",))
    if refused:
        with pytest.raises(PermanentReadError, match="public internet"):
            check_public("provider.example", access, "http://provider.example/a.tif")
    else:
        check_public("provider.example", access, "http://provider.example/a.tif")
    monkeypatch.setenv("no_proxy", "provider.example")
    with pytest.raises(PermanentReadError, match="public internet"):
        check_public("provider.example", access, "http://provider.example/a.tif")
