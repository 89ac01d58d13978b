"""Planetary Computer's way of reading, against a real server that gives an asset only for a signature that is good."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import cog, item
from helpers.webserver import Answer, Asked, Site, site
from numpy.typing import NDArray

from landslide_scale.errors import PermanentReadError, ReadError, TryAgainError
from landslide_scale.grid import Block, Lattice, PixelBox, Zone
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading import attempts, signing
from landslide_scale.reading.raster import read_numbers
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scene import Access
from landslide_scale.stac.hrefs import access
from landslide_scale.stac.items import scenes
from landslide_scale.stac.settings import CatalogConfig

LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64)
BOX = PixelBox(row_start=-510_000, row_stop=-509_980, col_start=50_000, col_stop=50_020)
VALUES = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)


@dataclass(kw_only=True)
class Provider:
    """Storage and signer in one: signatures are numbered, and good are those in `good`."""

    content: bytes
    lasts: timedelta = timedelta(hours=1)
    answers: list[Answer] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    issued: int = 0
    accepting: bool = True

    def answer(self, asked: Asked) -> Answer:
        if asked.path.startswith("/token/"):
            return self.answers.pop(0) if self.answers else self.token()
        return Answer(content=self.content) if asked.query in self.good else Answer(status=403)

    def token(self) -> Answer:
        self.issued += 1
        query = f"se=2030&sig=SECRET{self.issued}%3D"
        if self.accepting:
            self.good.add(query)
        expiry = (datetime.now(UTC) + self.lasts).isoformat()
        return Answer.of_json({"token": query, "msft:expiry": expiry})


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(signing, "_tokens", {})
    path = cog(tmp_path / "red.tif", VALUES, west=500_000, north=5_100_000)
    return Provider(content=Path(path).read_bytes())


@contextmanager
def running(provider: Provider) -> Iterator[tuple[Site, Access]]:
    with site(provider.answer) as found:
        config = CatalogConfig(
            profile="plain", allowed_hosts=("127.0.0.1",), signer=f"{found.address}/token/{{account}}/{{container}}"
        )
        yield found, access(config)


def read(found: Site, allowed: Access, name: str = "/images/red.tif") -> NDArray[np.float32]:
    return read_numbers(found.address + name, LATTICE, BOX, allowed).values


def test_an_asset_is_signed_just_before_it_is_read_and_the_signature_serves_the_whole_container(provider: Provider):
    with running(provider) as (found, allowed):
        for name in ("/images/red.tif", "/images/blue.tif", "/images/red.tif"):
            assert np.array_equal(read(found, allowed, name), VALUES.astype(np.float32))
        assert found.count("/token/127/images") == 1
        read(found, allowed, "/others/red.tif")
        assert found.count("/token/127/others") == 1
    assert all("sig=" in one.query for one in found.asked if one.path.endswith(".tif"))


def test_a_signature_is_renewed_before_it_expires(provider: Provider):
    provider.lasts = signing.MARGIN / 2
    with running(provider) as (found, allowed):
        read(found, allowed)
        read(found, allowed)
        assert found.count("/token/127/images") == 2


def test_a_signature_that_is_refused_before_its_time_is_renewed_once_and_the_read_goes_on(provider: Provider):
    with running(provider) as (found, allowed):
        read(found, allowed)
        provider.good.clear()
        assert np.array_equal(read(found, allowed, "/images/blue.tif"), VALUES.astype(np.float32))
        assert found.count("/token/127/images") == 2


def test_reads_that_are_refused_together_go_on_together(provider: Provider):
    """The first asks for another signature; the others find that theirs was given up, and that there is a new one."""
    together = threading.Barrier(6)
    answered = provider.answer

    def answer(asked: Asked) -> Answer:
        found = answered(asked)
        if found.status == HTTPStatus.FORBIDDEN:
            together.wait(timeout=20)
        return found

    with site(answer) as found, ThreadPoolExecutor(6) as threads:
        config = CatalogConfig(
            profile="plain", allowed_hosts=("127.0.0.1",), signer=f"{found.address}/token/{{account}}/{{container}}"
        )
        allowed = access(config)
        read(found, allowed)
        provider.good.clear()
        reads = [threads.submit(read, found, allowed, f"/images/{number}.tif") for number in range(6)]
        assert all(np.array_equal(one.result(), VALUES.astype(np.float32)) for one in reads)
        assert found.count("/token/127/images") == 2


def test_where_a_new_signature_is_refused_too_the_asset_is_named_and_the_signature_is_not(provider: Provider):
    provider.accepting = False
    with running(provider) as (found, allowed):
        with pytest.raises(PermanentReadError, match="403") as caught:
            read(found, allowed)
        assert found.count("/token/127/images") == attempts.ATTEMPTS
    assert type(caught.value) is PermanentReadError
    assert caught.value.where["file"] == f"{found.address}/images/red.tif"
    assert not signing._tokens  # the next read asks again


@pytest.mark.parametrize(
    ("answer", "kind", "times"),
    [
        (Answer(status=503), TryAgainError, 3),
        (Answer(status=429), TryAgainError, 3),
        (Answer(status=404), PermanentReadError, 1),
        (Answer(content=b"<html>SECRET"), PermanentReadError, 1),
        (Answer(content=b"[" * 40_000), PermanentReadError, 1),
        (Answer(content=b" " * 200_000), PermanentReadError, 1),
        (Answer.of_json({"token": "sig=SECRET"}), PermanentReadError, 1),
        (Answer.of_json({"token": "sig=SECRET", "msft:expiry": "soon"}), PermanentReadError, 1),
        (Answer.of_json({"token": 7, "msft:expiry": "2030-01-01T00:00:00Z"}), PermanentReadError, 1),
        (Answer.of_json({"token": "sig=SECRET HTTP/1.1\r\nX: y", "msft:expiry": "2030-01-01"}), PermanentReadError, 1),
        (Answer.of_json({"token": "sig=SECRET#@elsewhere", "msft:expiry": "2030-01-01"}), PermanentReadError, 1),
    ],
)
def test_a_signer_that_gives_no_token_is_named_and_nothing_is_read(
    provider: Provider, answer: Answer, kind: type[ReadError], times: int
):
    provider.answers = [answer] * 9
    with running(provider) as (found, allowed):
        with pytest.raises(ReadError) as caught:
            read(found, allowed)
        assert [one.path for one in found.asked] == ["/token/127/images"] * times
    assert type(caught.value) is kind
    assert caught.value.where["signer"] == f"{found.address}/token/127/images"
    assert b"SECRET" not in pickle.dumps(caught.value)


def test_a_signer_that_is_away_may_be_tried_again(provider: Provider):
    with running(provider) as (found, allowed):
        pass
    with pytest.raises(TryAgainError, match="signer"):
        read(found, allowed)


def test_a_signer_that_redirects_is_not_followed(provider: Provider):
    with site(lambda _: Answer(), host="127.0.0.2") as elsewhere:
        provider.answers = [Answer.redirect(f"{elsewhere.address}/token")]
        with running(provider) as (found, allowed), pytest.raises(PermanentReadError, match="302"):
            read(found, allowed)
    assert elsewhere.asked == []


def test_only_addresses_of_the_providers_own_hosts_are_signed(provider: Provider):
    pc = access(CatalogConfig(profile="planetary-computer", allowed_hosts=("127.0.0.1",)))
    assert pc.signed == ("sentinel2l2a01.blob.core.windows.net",)
    with site(lambda _: Answer(content=provider.content)) as found:
        assert np.array_equal(read(found, pc), VALUES.astype(np.float32))
    assert not any(one.query for one in found.asked)


def test_an_address_that_names_no_container_is_refused(provider: Provider):
    with running(provider) as (found, allowed):
        for name in ("/red.tif", "/../secret/red.tif", "//x/red.tif"):
            with pytest.raises(PermanentReadError, match="container"):
                read(found, allowed, name)
    assert found.asked == []


def test_a_unit_crosses_processes_without_a_signature_and_says_none_when_it_fails(provider: Provider):
    with running(provider) as (found, _):
        hrefs = {band: f"{found.address}/images/{band}.tif" for band in ("red", "scl")}
        made = item("S2A_1", assets=hrefs, bounds=(500_000.0, 5_099_800.0, 500_200.0, 5_100_000.0))
        template = f"{found.address}/token/{{account}}/{{container}}"
        config = CatalogConfig(profile="plain", allowed_hosts=("127.0.0.1:*",), signer=template)
        unit = WorkUnit(
            lattice=LATTICE, block=Block(row=-7969, col=781), layer=0, scenes=tuple(scenes([made], config, ("red",)))
        )
        text = unit.to_json()
        provider.accepting = False
        with pytest.raises(PermanentReadError) as caught:
            observe(WorkUnit.from_json(text).scenes, LATTICE, BOX, ("red",), CompositeConfig())
    assert found.count("/token/127/images") == attempts.ATTEMPTS
    assert "SECRET" not in text + str(caught.value)
