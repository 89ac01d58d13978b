"""All that is known of one event: its ShakeMap, its ground failure, and which of several counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urljoin

from landslide_scale.errors import InvalidFeedError
from landslide_scale.events.event import Event, from_milliseconds
from landslide_scale.events.feed import DELETED, address_of, ask, parse_event, text_of
from landslide_scale.events.settings import USGS_DETAIL, EventsConfig

SHAKEMAP = "shakemap"
GROUND_FAILURE = "ground-failure"
OVERLAY = "landslide-overlay"

_WITHDRAWN = "DELETE"
_GONE = ("404", "409", "410")
"""What a service answers of an event that there is no more; the USGS says 409 of one that was deleted."""

_HEAVIEST = 1e15

_MODEL_FILES = ("{name}_model.tif", "{name}.tif", "{name}.grd")
"""Names of a landslide model's probabilities, by the name of the model; the first that there is."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """One version of something that was published of an event.

    Attributes:
        kind: As ``shakemap``.
        code, source: Whose; versions are counted by source and are not compared.
        status: As published, ``DELETE`` where it was withdrawn.
        updated: When it was published, UTC.
        weight: How much its publisher prefers it.
        properties: As published.
        contents: Addresses of its files, by their names, as ``download/grid.xml``.
    """

    kind: str
    code: str
    source: str
    status: str
    updated: datetime
    weight: float
    properties: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Its number within its source, and the source; with the instant where it has no number."""
        return f"{self.source} {self.properties.get('version') or f'{self.updated:%Y-%m-%dT%H:%M:%SZ}'}"

    def address(self, name: str) -> str | None:
        """Of a file of this name, in whatever folder; None where there is none."""
        found = [place for place in sorted(self.contents) if PurePosixPath(place).name == name]
        return self.contents[found[0]] if found else None


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One event and what was published of it.

    Attributes:
        event: As the detail has it.
        products: Every version that it tells of, withdrawn ones too.
    """

    event: Event
    products: tuple[Product, ...] = ()

    @property
    def shakemap(self) -> Product | None:
        """The ShakeMap that counts."""
        return preferred(self.products, SHAKEMAP)

    @property
    def ground_failure(self) -> Product | None:
        """The ground failure that counts."""
        return preferred(self.products, GROUND_FAILURE)


def preferred(products: Iterable[Product], kind: str, until: datetime | None = None) -> Product | None:
    """The product that counts: the newest of each code and source; of these, not withdrawn, the highest weight.

    Of equal weights it is the newest. None where there is none.

    Args:
        products: In any order.
        kind: As ``shakemap``.
        until: What was published later does not count yet.
    """
    newest: dict[tuple[str, str], Product] = {}
    for product in products:
        key = (product.code, product.source)
        if product.kind != kind or (until is not None and product.updated > until):
            continue
        if key not in newest or _rank(product) > _rank(newest[key]):
            newest[key] = product
    standing = [one for one in newest.values() if one.status.upper() != _WITHDRAWN]
    return max(standing, key=lambda one: (one.weight, one.updated, one.source, one.code), default=None)


def _rank(product: Product) -> tuple[datetime, bool]:
    """Of the versions of one product the newest counts; of the same instant, that which withdraws it."""
    return product.updated, product.status.upper() == _WITHDRAWN


@dataclass(frozen=True, kw_only=True)
class LandslideModel:
    """The landslide model that a ground-failure product stands for.

    Attributes:
        name: As ``jessee_2017``.
        file: Name of the file of its probabilities.
        address: Of that file.
        shakemap_version: Which ShakeMap of its source it was made with; empty where it does not say.
    """

    name: str
    file: str
    address: str
    shakemap_version: str


def landslide_model(product: Product) -> LandslideModel:
    """The model whose picture the publisher shows: files of several lie side by side.

    Raises:
        InvalidFeedError: The product does not say which, or has no file of it that can be read here.
    """
    overlay = product.properties.get(OVERLAY)
    if not overlay:
        raise InvalidFeedError(f"no {OVERLAY}", expected="the name of the landslide model", product=product.version)
    name = PurePosixPath(overlay).stem
    for pattern in _MODEL_FILES:
        file = pattern.format(name=name)
        if (address := product.address(file)) is not None:
            version = product.properties.get("shakemap-version", "")
            return LandslideModel(name=name, file=file, address=address, shakemap_version=version)
    raise InvalidFeedError(
        f"no file of {name}",
        expected=" or ".join(pattern.format(name=name) for pattern in _MODEL_FILES),
        product=product.version,
    )


def read_detail(config: EventsConfig, name: str, address: str = "") -> Detail | None:
    """What is known of an event now; None where there is no such event, or no more.

    Args:
        config: Where to ask.
        name: Any of its ids.
        address: Where its feed said that the detail is; by default where the configuration says.

    Raises:
        FeedAwayError: It does not answer, as often as it is asked.
        InvalidFeedError: It answers with something else than an event.
    """
    place = address or config.detail.replace("{id}", name)
    try:
        content = ask(place, config.access)
    except InvalidFeedError as error:
        if error.where.get("status") in _GONE:
            return None
        raise
    if content.get("type") == "FeatureCollection":
        features = content.get("features") or []
        if not features:
            return None
        content = features[0]
    if _is_deleted(content):
        return None
    return parse_detail(content, address=place, detail=config.detail)


def _is_deleted(content: object) -> bool:
    properties = content.get("properties") if isinstance(content, dict) else None
    return isinstance(properties, dict) and str(properties.get("status")).lower() in {DELETED, "delete"}


def parse_detail(content: object, *, address: str = "", detail: str = USGS_DETAIL) -> Detail:
    """An event's detail.

    Args:
        content: A feature, as JSON has it.
        address: Where it was; addresses of files that are relative are relative to it.
        detail: Where such details are, with ``{id}``.

    Raises:
        InvalidFeedError: It is none.
    """
    event = parse_event(content, detail=detail)
    properties: Any = content["properties"] if isinstance(content, dict) else {}
    listed = properties.get("products") or {}
    if not isinstance(listed, dict):
        raise InvalidFeedError("products that are no object", expected="lists of products by kind", event=event.id)
    wanted = [(kind, one) for kind in (SHAKEMAP, GROUND_FAILURE) for one in _list(listed.get(kind))]
    return Detail(event=event, products=tuple(_product(kind, one, address, event.id) for kind, one in wanted))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _product(kind: str, content: object, address: str, event: str) -> Product:
    if not isinstance(content, dict):
        raise InvalidFeedError(f"a {kind} that is no object", expected="a product", event=event)
    weight = content.get("preferredWeight", 0)
    try:
        updated = from_milliseconds(content.get("updateTime"))
    except ValueError as error:
        raise InvalidFeedError(f"a {kind} whose updateTime {error}", expected="an instant", event=event) from None
    return Product(
        kind=kind,
        code=text_of(content.get("code")),
        source=text_of(content.get("source")),
        status=text_of(content.get("status")),
        updated=updated,
        weight=float(weight) if isinstance(weight, int | float) and abs(weight) < _HEAVIEST else 0.0,
        properties={
            key: text_of(value) for key, value in _dict(content.get("properties")).items() if isinstance(value, str)
        },
        contents={
            str(name): _joined(address, value["url"])
            for name, value in _dict(content.get("contents")).items()
            if isinstance(value, dict) and address_of(value.get("url"))
        },
    )


def _joined(address: str, url: str) -> str:
    try:
        return urljoin(address, url)
    except ValueError:  # an address that is none, and will be refused as it is
        return url


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
