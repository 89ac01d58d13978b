"""Ports that nobody named, and signatures that would go in the clear."""

from __future__ import annotations

import pytest
from helpers.scenes import item

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.stac.hrefs import access
from landslide_scale.stac.items import scenes
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.strictyaml import parse

pytestmark = pytest.mark.hostile


def asked(config: CatalogConfig, href: str) -> object:
    made = item("S2A_1", assets={"red": href, "scl": href})
    return scenes([made], config, ("red",))


def naming(*hosts: str, **more: object) -> CatalogConfig:
    return parse(CatalogConfig, {"profile": "plain", "allowed_hosts": list(hosts)} | more)


@pytest.mark.parametrize("port", [6379, 8265, 10001, 22, 9200, 1])
def test_a_port_that_nobody_named_is_refused_on_an_allowed_host(port: int):
    for config in (naming("127.0.0.1"), naming("127.0.0.1:8080"), naming("other:*", "127.0.0.1")):
        with pytest.raises(InvalidCatalogError, match=f"port {port} of 127.0.0.1.*Name 127.0.0.1:{port} under"):
            asked(config, f"http://127.0.0.1:{port}/red.tif")


@pytest.mark.parametrize("port", ["", ":80", ":443", ":8080"])
def test_the_usual_ports_and_those_that_are_named_are_read(port: str):
    for config in (naming("127.0.0.1:8080"), naming("127.0.0.1:*"), naming("127.0.0.1", "127.0.0.1:8080")):
        assert asked(config, f"http://127.0.0.1{port}/red.tif")
    assert access(naming("Mirror.example:8080")).hosts == ("mirror.example",)


def test_a_bucket_of_an_address_with_a_port_names_that_port():
    config = naming(buckets={"scenes": "http://127.0.0.1:9000/scenes"})
    assert asked(config, "s3://scenes/red.tif")
    with pytest.raises(InvalidCatalogError, match="port 9001"):
        asked(config, "http://127.0.0.1:9001/red.tif")


def test_an_address_that_is_signed_goes_by_https_unless_the_user_named_http():
    config = parse(CatalogConfig, {"profile": "planetary-computer", "assets": {"red": "red", "scl": "scl"}})
    (host, *_) = access(config).signed
    assert asked(config, f"https://{host}/sentinel2-l2/red.tif")
    with pytest.raises(InvalidCatalogError, match="whose addresses are signed; expected https"):
        asked(config, f"http://{host}/sentinel2-l2/red.tif")
    plain = naming("127.0.0.1", signer="http://127.0.0.1/{account}/{container}")
    assert asked(plain, "http://127.0.0.1/images/red.tif")
    secure = naming("127.0.0.1", signer="https://127.0.0.1/{account}/{container}")
    with pytest.raises(InvalidCatalogError, match="expected https"):
        asked(secure, "http://127.0.0.1/images/red.tif")
