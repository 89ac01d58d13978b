"""Items from a STAC API, or from files in its place: searched once, on the driver, and asked again while it is busy.

A catalogue is believed about its Items and nothing else: its links and redirects lead only to hosts that the user
named, and its pages end where they repeat themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import pystac_client
import requests
from pystac import Link
from pystac.errors import STACError
from pystac.link import HREF
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import (
    AwayError,
    CatalogAwayError,
    InvalidCatalogError,
    InvalidConfigError,
    LandslideScaleError,
    PermanentReadError,
    TryAgainError,
)
from landslide_scale.reading.asking import ATTEMPTS, PatientAdapter
from landslide_scale.redaction import keep_log_clean, redacted
from landslide_scale.scene import Window
from landslide_scale.stac.form import formed
from landslide_scale.stac.holding.packed import Packing
from landslide_scale.stac.hrefs import named_hosts
from landslide_scale.stac.items import OWN_PREFIX, Item
from landslide_scale.stac.listed import check_address_whole, find_listed
from landslide_scale.stac.settings import SourceConfig

log = logging.getLogger(__name__)
keep_log_clean("urllib3.connectionpool", "pystac_client.stac_api_io")

TIMEOUT_S = 30
MOST_ITEMS = 200_000
"""Of one search; a region of 300 tiles has some 45 000 in a year."""

_PER_PAGE = 100

NOT_STAC = (
    APIError, STACError, ClientTypeError, DoesNotConformTo, requests.RequestException, OSError,
    KeyError, TypeError, ValueError, AttributeError, RecursionError,
)  # fmt: skip
"""What pystac-client raises where the catalogue is away, or answers with something else than STAC."""


def search(config: SourceConfig, area: BaseGeometry, windows: Iterable[Window]) -> list[Item]:
    """Items that meet `area` (degrees) in any of the windows, each once, by id; packed (:mod:`.holding.packed`).

    Raises:
        CatalogAwayError: The catalogue does not answer, as often as it is asked.
        InvalidCatalogError: It answers with something that is no STAC.
    """
    wanted = [
        {"bbox": part.bounds, "datetime": (span.start, span.end)}
        for window in windows
        for span in window.spans
        for part in getattr(area, "geoms", [area])
    ]
    found = _all_of(config, wanted)
    return [found[key] for key in sorted(found, key=str)]


def search_anytime(config: SourceConfig, area: BaseGeometry) -> list[Item]:
    """Items that meet `area` (degrees), whenever they are from, each once, by id.

    Raises:
        CatalogAwayError, InvalidCatalogError: As for :func:`search`.
    """
    found = _all_of(config, [{"bbox": part.bounds} for part in getattr(area, "geoms", [area])])
    return [found[key] for key in sorted(found, key=str)]


def search_ids(config: SourceConfig, ids: Sequence[str]) -> dict[str, Item]:
    """The Items of these ids, as far as the catalogue still has them.

    Raises:
        CatalogAwayError, InvalidCatalogError: As for :func:`search`.
    """
    wanted = [{"ids": list(ids[at : at + _PER_PAGE])} for at in range(0, len(ids), _PER_PAGE)]
    return _all_of(config, wanted)


def collection(config: SourceConfig) -> str:
    """The collection that is searched."""
    return config.collection or config.provider.collection


def _all_of(config: SourceConfig, wanted: Iterable[dict[str, Any]]) -> dict[str, Item]:
    if config.items is not None:
        return _formed(_listed(config.items, config, wanted))
    url = config.url or config.provider.url
    if url is None:
        raise InvalidConfigError(
            "no url", expected="the catalogue's address, or files of Items under items", key=f"{config.section}.url"
        )
    found: dict[str, Item] = {}
    packing = Packing()
    try:
        client = _client(url, config)
        for query in wanted:
            pages = client.search(collections=[collection(config)], limit=_PER_PAGE, **query).pages_as_dicts()
            for item in _items(pages, collection(config)):
                found[_id(item)] = packing.pack(item)
    except (*NOT_STAC, LandslideScaleError) as error:
        # Without the chain: its texts repeat addresses with their keys.
        raise _named(error, redacted(url)) from None
    return _formed(found)


def _formed(found: Mapping[str, Item]) -> dict[str, Item]:
    return dict(zip(found, formed(found.values()), strict=True))


def _id(item: Mapping[str, Any]) -> str:
    """The id of an Item, or how its id is written where it is no text."""
    return item["id"] if isinstance(item["id"], str) else ascii(type(item["id"]))


def _named(error: BaseException, address: str) -> LandslideScaleError:
    """An error as one of the catalogue at an address: of ours where pystac-client wrapped one of its own around it."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, LandslideScaleError):
        inner = inner.__context__
    if isinstance(inner, TryAgainError):
        return CatalogAwayError(
            f"{inner.found}, {ATTEMPTS} times",
            expected="an answer of a STAC API",
            cure="Run the same command again later, or correct the address.",
            catalogue=address,
        )
    if isinstance(inner, (PermanentReadError, AwayError)):
        kind = CatalogAwayError if isinstance(inner, AwayError) else InvalidCatalogError
        return kind(inner.found, expected="an answer of a STAC API", cure=inner.cure, catalogue=address)
    if inner is not None:
        return inner.at(catalogue=address)
    status = getattr(error, "status_code", None)
    said = f"HTTP status {status}: {error}".removesuffix(": ") if status else f"{type(error).__name__}: {error}"
    return InvalidCatalogError(
        said,
        expected="an answer of a STAC API",
        cure="Correct its url, which is the root of the API, as https://earth-search.aws.element84.com/v1.",
        catalogue=address,
    )


def _listed(url: str, config: SourceConfig, wanted: Iterable[dict[str, Any]]) -> dict[str, Item]:
    """Items of files, in which this package's words are no more believed than in an API's."""
    packing = Packing()

    def held(item: dict[str, Any]) -> Item:
        check_address_whole(item)
        return packing.pack(_without_our_words(item))

    return find_listed(url, collection(config), wanted, section=config.section, held=held)


def _items(pages: Iterable[dict[str, Any]], wanted: str) -> Iterator[dict[str, Any]]:
    """The Items of one search's pages, until a page brings nothing new: a last page may carry a ``next`` link."""
    seen: set[str] = set()
    matched = 0
    for page in pages:
        items = page["features"]
        if {_id(item) for item in items} <= seen:
            break
        matched = max(matched, int(page.get("numberMatched") or 0))
        for item in items:
            if item.get("collection") not in (None, wanted) and isinstance(item["collection"], str):
                raise InvalidCatalogError(
                    f"an Item of collection {item['collection']}", expected=wanted, scene=_id(item)
                )
            yield _without_our_words(item)
        seen |= {_id(item) for item in items}
        if len(seen) > MOST_ITEMS:
            raise InvalidCatalogError(
                f"more than {MOST_ITEMS:,} Items of one search", expected="fewer", cure="Search a smaller region."
            )
    if len(seen) < matched:
        log.warning("the catalogue counted %d Items and gave %d", matched, len(seen))


def _without_our_words(item: dict[str, Any]) -> dict[str, Any]:
    """What this package writes into frozen Items is not taken from a catalogue."""
    if not isinstance(item.get("properties"), dict):
        return item  # it says nothing, and will be set aside for that
    kept = {key: value for key, value in item["properties"].items() if not str(key).startswith(OWN_PREFIX)}
    return item | {"properties": kept}


class _ConfinedIO(StacApiIO):
    """Requests to some hosts alone: links and redirects of a catalogue may point anywhere, to local files too."""

    def __init__(self, hosts: set[str], section: str) -> None:
        super().__init__(max_retries=None)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, PatientAdapter())
        self._hosts, self._section = hosts, section
        self.session.hooks["response"].append(self._check_redirect)

    def read_text(self, source: HREF, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 pystac-client's
        """The text at an address; a path is none."""
        if not isinstance(source, Link):
            _check_host(str(source), self._hosts, self._section)
        return super().read_text(source, *args, **kwargs)

    def request(self, href: str, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 pystac-client's
        """The answer to a request."""
        _check_host(href, self._hosts, self._section)
        return super().request(href, *args, **kwargs)

    def _check_redirect(self, response: requests.Response, **_: object) -> None:
        if response.is_redirect:
            _check_host(urljoin(response.url, response.headers["location"]), self._hosts, self._section)


def _client(url: str, config: SourceConfig) -> pystac_client.Client:
    known = {str(urlsplit(url).hostname), *named_hosts(config)}
    return pystac_client.Client.open(url, stac_io=_ConfinedIO(known, config.section), timeout=TIMEOUT_S)


def _check_host(url: str, hosts: set[str], section: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname not in hosts:
        raise InvalidCatalogError(
            f"an address, link or redirect to {parts.scheme}://{parts.hostname}",
            expected=f"an answer of a STAC API by http(s) on {', '.join(sorted(hosts))}",
            cure=f"Name the host under {section}.allowed_hosts if you trust it.",
        )
