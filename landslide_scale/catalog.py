"""Scenes from a STAC API: searched once, on the driver; workers get plain values.

One explicit profile per provider says how assets are named, which hosts they live on and whether the radiometric
offset is still to be applied; nothing is guessed from an Item.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pystac_client
import requests
import shapely
from pystac.errors import STACError
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.warnings import DoesNotConformTo
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import BAND_NAMES, NEWER_OFFSET
from landslide_scale.config import CatalogConfig
from landslide_scale.errors import InvalidCatalogError, InvalidConfigError
from landslide_scale.grid import project
from landslide_scale.scene import FIRST_BASELINE_WITH_OFFSET, Scene, Window, utc
from landslide_scale.storage import redacted

Item = Mapping[str, Any]
_UNSAFE = re.compile(r"[\x00-\x20\\\x7f]")
"""Characters in an address that not all readers take for the same address."""

TIMEOUT_S = 30

NOT_STAC = (
    APIError, STACError, ClientTypeError, DoesNotConformTo, requests.RequestException, OSError,
    KeyError, TypeError, ValueError, AttributeError,
)  # fmt: skip
"""What pystac-client raises where the catalogue is away, or answers with something else than STAC."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of a provider.

    Attributes:
        url, collection: Where its Sentinel-2 L2A is.
        hosts: Where its assets may live.
        offset_flag: Item property that says the offset is already in the pixels; None: it never is.
        assets: Band name to asset name.
    """

    url: str | None
    collection: str
    hosts: tuple[str, ...] = ()
    offset_flag: str | None = None
    assets: Mapping[str, str] = field(default_factory=lambda: {band: band for band in (*BAND_NAMES, "scl")})


PROFILES: Mapping[str, Profile] = {
    "earth-search-c1": Profile(
        url="https://earth-search.aws.element84.com/v1",
        collection="sentinel-2-c1-l2a",
        hosts=("e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com",),
    ),
    "earth-search-v1": Profile(
        url="https://earth-search.aws.element84.com/v1",
        collection="sentinel-2-l2a",
        hosts=("sentinel-cogs.s3.us-west-2.amazonaws.com",),
        offset_flag="earthsearch:boa_offset_applied",
    ),
    "plain": Profile(url=None, collection="sentinel-2-l2a"),
}


def search(config: CatalogConfig, area: BaseGeometry, windows: Iterable[Window]) -> list[dict[str, Any]]:
    """Items that meet `area` (degrees) in any of the windows, each once, by id.

    Raises:
        InvalidCatalogError: The catalogue does not answer, or answers with something that is no STAC.
    """
    profile = PROFILES[config.profile]
    url = config.url or profile.url
    if url is None:
        raise InvalidConfigError("no url", expected="the catalogue's address", key="catalog.url")
    found: dict[str, dict[str, Any]] = {}
    try:
        client = pystac_client.Client.open(url, timeout=TIMEOUT_S)
        for window in windows:
            for part in getattr(area, "geoms", [area]):
                answer = client.search(
                    collections=[config.collection or profile.collection],
                    bbox=part.bounds,
                    datetime=(window.start, window.end),
                    limit=100,
                )
                found |= {item["id"]: item for item in answer.items_as_dicts()}
    except NOT_STAC as error:
        raise InvalidCatalogError(
            f"{type(error).__name__}: {_without_keys(str(error), url)}",
            expected="an answer of a STAC API",
            catalogue=redacted(url),
        ) from error
    return [found[key] for key in sorted(found)]


def _without_keys(text: str, url: str) -> str:
    """`text` without the user information and the query of an address that it may repeat."""
    query = urlsplit(url).query
    shorter = text.replace(url, redacted(url))
    return shorter.replace(f"?{query}", "") if query else shorter


def scenes(items: Iterable[Item], config: CatalogConfig, bands: tuple[str, ...]) -> list[Scene]:
    """The Items under the cloud limit as scenes, with the assets of `bands` and the scene classification.

    Raises:
        InvalidCatalogError: An Item lacks a band or a property, or points to an address that is not allowed.
    """
    found = []
    for item in items:
        with _readable(item):
            if _cloud_cover(item) <= config.max_cloud_cover:
                found.append(_scene(item, config, PROFILES[config.profile], (*bands, "scl")))
    return found


def footprint(item: Item) -> BaseGeometry:
    """Where the catalogue says an Item has data, degrees.

    Raises:
        InvalidCatalogError: It does not say so.
    """
    with _readable(item):
        return shapely.geometry.shape(item["geometry"])


def sensed(item: Item) -> datetime:
    """Acquisition instant, UTC.

    Raises:
        InvalidCatalogError: The Item does not say so.
    """
    with _readable(item):
        return _instant(item["properties"]["datetime"])


def _instant(text: str) -> datetime:
    """To the millisecond: that is what a frozen Item keeps, and a resumed run is to see the same scenes."""
    instant = utc(text)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@contextmanager
def _readable(item: Item) -> Iterator[None]:
    """What an Item lacks, or gives in another form than STAC's, is said of the Item."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise _lacks(
            item, f"{type(error).__name__}: {error}", "an Item of STAC's projection and EO extensions"
        ) from error


def _cloud_cover(item: Item) -> float:
    """Percent; an Item that does not say is taken as cloudless."""
    return float(item["properties"].get("eo:cloud_cover") or 0)


def _scene(item: Item, config: CatalogConfig, profile: Profile, bands: tuple[str, ...]) -> Scene:
    properties = item["properties"]
    baseline = _baseline(item)
    offset, rule = _offset(properties, baseline, profile)
    epsg = _epsg(item, profile)
    return Scene(
        id=item["id"],
        tile=_tile(item),
        epsg=epsg,
        bounds=_bounds(item, item["assets"].get(profile.assets["scl"], {}), epsg),
        sensed=sensed(item),
        datatake=_datatake(item),
        datastrip=_datastrip(properties),
        baseline=baseline,
        generated=_instant(properties.get("s2:generation_time") or properties.get("created") or properties["datetime"]),
        cloud_cover=_cloud_cover(item),
        offset=offset,
        offset_rule=rule,
        assets=tuple((band, _href(item, profile.assets[band], config, profile)) for band in bands),
    )


def _offset(properties: Item, baseline: tuple[int, int], profile: Profile) -> tuple[int, str]:
    """What is to be added to digital numbers, and why."""
    version = f"{baseline[0]:02d}.{baseline[1]:02d}"
    if baseline < FIRST_BASELINE_WITH_OFFSET:
        return 0, f"baseline {version} has no offset"
    if profile.offset_flag and properties.get(profile.offset_flag):
        return 0, f"baseline {version}, {profile.offset_flag} says it is in the pixels"
    return NEWER_OFFSET, f"baseline {version} has an offset of {NEWER_OFFSET}"


def _baseline(item: Item) -> tuple[int, int]:
    properties = item["properties"]
    text = properties.get("s2:processing_baseline") or properties.get("processing:version")
    match = re.fullmatch(r"(\d\d)\.(\d\d)", str(text))
    if match is None:
        raise _lacks(item, f"processing baseline {text!r}", "s2:processing_baseline such as 05.09")
    return int(match[1]), int(match[2])


def _datatake(item: Item) -> str:
    """Without the baseline at its end, so that a reprocessing is the same datatake."""
    properties = item["properties"]
    if "s2:datatake_id" in properties:
        return re.sub(r"_N\d\d\.\d\d$", "", properties["s2:datatake_id"])
    match = re.match(r"(S2[A-D])_MSIL2A_(\d{8}T\d{6})_", str(properties.get("s2:product_uri")))
    if match is None:
        raise _lacks(item, "no datatake", "s2:datatake_id or s2:product_uri")
    return f"G{match[1]}_{match[2]}"


def _datastrip(properties: Item) -> str:
    text = str(properties.get("s2:datastrip_id", ""))
    match = re.search(r"_S(\d{8}T\d{6})_", text)
    return match[1] if match else text


def _tile(item: Item) -> str:
    properties = item["properties"]
    code = str(properties.get("grid:code") or properties.get("s2:mgrs_tile") or "")
    match = re.search(r"(\d{1,2})([C-X])([A-Z]{2})$", code)
    if match is None:
        raise _lacks(item, f"grid code {code!r}", "grid:code such as MGRS-33TWM")
    return f"{int(match[1]):02d}{match[2]}{match[3]}"


def _epsg(item: Item, profile: Profile) -> int:
    for holder in (item["assets"].get(profile.assets["scl"], {}), item["properties"]):
        code = str(holder.get("proj:code") or f"EPSG:{holder.get('proj:epsg')}")
        if re.fullmatch(r"EPSG:\d+", code):
            return int(code[5:])
    raise _lacks(item, "no coordinate reference system", "proj:code or proj:epsg")


def _bounds(item: Item, asset: Item, epsg: int) -> tuple[float, float, float, float]:
    """Extent of the rasters, not of the valid data: a pixel with data is never outside it."""
    for holder in (asset, item["properties"]):
        if "proj:transform" in holder and "proj:shape" in holder:
            a, _, west, _, e, north = holder["proj:transform"][:6]
            rows, cols = holder["proj:shape"]
            return west, north + e * rows, west + a * cols, north
        if "proj:bbox" in holder:
            west, south, east, north = holder["proj:bbox"]
            return west, south, east, north
    projected = project(footprint(item), 4326, epsg)
    west, south, east, north = projected.bounds
    return west, south, east, north


def _href(item: Item, name: str, config: CatalogConfig, profile: Profile) -> str:
    if name not in item["assets"]:
        raise InvalidCatalogError(
            f"no asset {name!r} among {sorted(item['assets'])}",
            expected="every band of the checkpoint",
            scene=item["id"],
        )
    href = str(item["assets"][name]["href"])
    if "://" not in href:
        return _local(item, href, config)
    parts = urlsplit(href)
    if parts.scheme == "file":
        return _local(item, f"//{parts.netloc}" if parts.netloc else unquote(parts.path), config)
    hosts = tuple(host.lower() for host in (*profile.hosts, *config.allowed_hosts))
    readable = parts.scheme in {"https", "http"} and not (parts.username or parts.password or _UNSAFE.search(href))
    if not readable or parts.hostname not in hosts:
        raise InvalidCatalogError(
            f"asset {name} at {parts.scheme}://{parts.hostname}",
            expected=f"http(s) on {', '.join(hosts) or 'a host of catalog.allowed_hosts'}",
            cure="Name the host under catalog.allowed_hosts if you trust it.",
            scene=item["id"],
        )
    return href


def _local(item: Item, path: str, config: CatalogConfig) -> str:
    """A local file below one of the allowed roots, links resolved."""
    real = Path(path).resolve()
    roots = [Path(root).resolve() for root in config.allowed_roots]
    plain = path.startswith("/") and not path.startswith("//") and not str(real).startswith("/vsi")
    if not plain or not any(real.is_relative_to(root) for root in roots):
        raise InvalidCatalogError(
            f"a local asset {path}",
            expected=f"a full path below {', '.join(map(str, roots)) or 'a folder of catalog.allowed_roots'}",
            cure="Name the folder under catalog.allowed_roots if you trust it.",
            scene=item["id"],
        )
    return str(real)


def _lacks(item: Item, found: str, expected: str) -> InvalidCatalogError:
    return InvalidCatalogError(found, expected=expected, scene=item.get("id"))
