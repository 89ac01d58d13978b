"""Which addresses of a catalogue are read at all: GeoTIFFs by plain HTTP on allowed hosts, or below allowed folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.scene import Access
from landslide_scale.stac.settings import SourceConfig
from landslide_scale.storage.files import local_path

_UNSAFE = re.compile(r"[\x00-\x20\\\x7f]")
"""Characters in an address that not all readers take for the same address."""

_WITH_PORT = re.compile(r"^([^:]+):(?:\d{1,5}|\*)$")
_USUAL_PORTS = (None, 80, 443)

_LONGEST = 4096

_TIFF = (".tif", ".tiff")
_JPEG_2000 = (".jp2", ".j2k", ".j2c", ".jpf", ".jpx")


def access(config: SourceConfig) -> Access:
    """What the reading of a catalogue's assets may touch."""
    provider = config.provider
    named = named_hosts(config)
    signing_host = urlsplit(config.signer).hostname if config.signer else None
    bucket_hosts = tuple(dict.fromkeys(str(urlsplit(address).hostname) for address in config.buckets.values()))
    return Access(
        hosts=(*provider.hosts, *named, *bucket_hosts),
        named=(*named, *([signing_host] if signing_host else []), *bucket_hosts),
        ports=(
            *(host.lower() for host in config.allowed_hosts),
            *(urlsplit(at).netloc for at in config.buckets.values()),
        ),
        signer=config.signer or provider.signer,
        signed=(*provider.hosts, *(named if config.signer else ())),
        section=config.section,
    )


def named_hosts(config: SourceConfig) -> tuple[str, ...]:
    """The hosts that the user names, in lower case and without their ports."""
    return tuple(_WITH_PORT.sub(r"\1", host.lower()) for host in config.allowed_hosts)


def asset_href(item: Mapping[str, Any], name: str, config: SourceConfig) -> str:
    """The address of an Item's asset: an allowed http(s) URL, or the real path of an allowed file.

    Raises:
        InvalidCatalogError: There is no such asset, it is no GeoTIFF, or its address is of another kind.
    """
    if name not in item["assets"]:
        raise InvalidCatalogError(
            f"no asset {name!r} among {sorted(item['assets'])}",
            expected="the asset of every band that is read",
            cure=f"Name it under {config.asset_key} where the catalogue calls it otherwise.",
            **{config.item: item["id"]},
        )
    href = _of_bucket(str(item["assets"][name]["href"]), config)
    _check_format(item, href, name, config)
    if "://" not in href:
        return _local(item, href, name, config)
    parts = urlsplit(href)
    if parts.scheme == "file":
        return _local(item, f"//{parts.netloc}" if parts.netloc else unquote(parts.path), name, config)
    allowed = access(config)
    hosts = allowed.hosts
    plain = parts.scheme in {"https", "http"} and not (parts.username or parts.password or _UNSAFE.search(href))
    if not plain or parts.hostname not in hosts or len(href) > _LONGEST:
        raise InvalidCatalogError(
            f"asset {name} at {parts.scheme}://{parts.hostname}",
            expected=f"http(s) on {', '.join(hosts) or f'a host of {config.section}.allowed_hosts'}",
            cure=f"Name the bucket, and the address it is read by, under {config.section}.buckets if you trust it."
            if parts.scheme == "s3"
            else f"Name the host under {config.section}.allowed_hosts if you trust it.",
            **{config.item: item["id"]},
        )
    _check_way(parts, name, allowed, **{config.item: item["id"]})
    return href


def _check_way(parts: SplitResult, name: str, allowed: Access, **where: Any) -> None:  # noqa: ANN401
    """Refuse a port that nobody named, where something else may be listening, and signatures in the clear."""
    host = str(parts.hostname)
    try:
        port = parts.port
    except ValueError:
        raise InvalidCatalogError(f"asset {name} at a port that is none", expected="0 to 65535", **where) from None
    if port not in _USUAL_PORTS and not {f"{host}:{port}", f"{host}:*"} & set(allowed.ports):
        raise InvalidCatalogError(
            f"asset {name} at port {port} of {host}",
            expected="port 80 or 443",
            cure=f"Name {host}:{port} under {allowed.section}.allowed_hosts if you trust it.",
            **where,
        )
    signed = allowed.signer is not None and host in allowed.signed
    if signed and parts.scheme == "http" and not str(allowed.signer).startswith("http://"):
        raise InvalidCatalogError(
            f"asset {name} by http on {host}, whose addresses are signed", expected="https, which hides them", **where
        )


def _check_format(item: Mapping[str, Any], href: str, name: str, config: SourceConfig) -> None:
    """Refuse what no read of it can open, for every read opens GeoTIFFs and nothing else.

    A name that ends as a GeoTIFF's does is believed until it is read, whatever the media type says; of any other, the
    media type is. JPEG 2000 is not read: its codecs would have to be trusted with bytes from outside.
    """
    ending = PurePosixPath(urlsplit(href).path).suffix.lower()
    kind = str(item["assets"][name].get("type") or "").lower()
    if ending in _TIFF:
        return
    if ending in _JPEG_2000 or "jp2" in kind:
        found = "JPEG 2000, which is not read"
    elif kind and "tiff" not in kind:
        found = f"of type {kind}"
    else:
        return
    raise InvalidCatalogError(
        f"asset {name} is {found}", expected="a GeoTIFF", cure=config.as_cogs, **{config.item: item["id"]}
    )


def _of_bucket(href: str, config: SourceConfig) -> str:
    """The http(s) address of an object in a bucket whose address is known; any other address as it is."""
    for bucket, address in {**config.provider.buckets, **config.buckets}.items():
        if href.startswith(f"s3://{bucket}/"):
            return address.rstrip("/") + href.removeprefix(f"s3://{bucket}")
    return href


def _local(item: Mapping[str, Any], path: str, name: str, config: SourceConfig) -> str:
    """A local file below one of the allowed roots, links resolved."""
    real = Path(path).resolve()
    roots = [(local_path(root) or Path(root)).resolve() for root in config.allowed_roots]
    plain = path.startswith("/") and not path.startswith("//") and not str(real).startswith("/vsi")
    allowed = plain and len(path) <= _LONGEST and any(real.is_relative_to(root) for root in roots)
    # From Python 3.13 on a link that leads back to itself is left as it is, where it was an error before.
    if not allowed or any(part.is_symlink() for part in (real, *real.parents)):
        raise InvalidCatalogError(
            f"asset {name} at the local path {path}",
            expected=f"a full path below {', '.join(map(str, roots)) or f'a folder of {config.section}.allowed_roots'}",
            cure=f"Name the folder under {config.section}.allowed_roots if you trust it.",
            **{config.item: item["id"]},
        )
    return str(real)
