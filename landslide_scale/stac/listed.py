"""Items in files instead of an API: one Item, an ItemCollection, one Item a line, or stac-geoparquet.

They are searched as an API is, by area, time, id and collection. What an Item lacks is not judged here: one that does
not say where or when it is from is handed on, to be refused by name where it is used. Addresses that are relative are
resolved against the file that holds the Item, whatever its own ``self`` link says.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import rustac
import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.redaction import redacted
from landslide_scale.stac.holding.table import read_table
from landslide_scale.stac.items import SHORTENED, Item, footprint, sensed
from landslide_scale.storage.inputs import InputFile, input_files

log = logging.getLogger(__name__)

MOST_ITEMS = 200_000
"""Of a file, and of what is found; as of one search."""

MOST_INFLATED = 8 * 2**30
"""Bytes of a Parquet file once it is inflated."""

_JSON = (".json", ".geojson")
_LINES = (".ndjson", ".jsonl", ".geojsonl")
_PARQUET = (".parquet", ".geoparquet")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:|.*://")
"""Of an address that is not relative, GDAL's own kinds among them: it is left as it is, to be refused as it is."""

_NAMED = 3
_TURN = 360.0


def find_listed(
    url: str,
    collection: str,
    wanted: Iterable[Mapping[str, Any]],
    *,
    section: str,
    held: Callable[[dict[str, Any]], Item] = dict,
) -> dict[str, Item]:
    """The Items of files that any of the searches wants, by id.

    Args:
        url: Path or fsspec URL of a file, a folder or a pattern.
        collection: Items of another are left out; those that name none are taken.
        wanted: Searches as pystac-client takes them: ``bbox`` and ``datetime``, or ``ids``.
        section: Of the configuration that says so.
        held: What is held of an Item that is wanted.

    Raises:
        InvalidInputError: A file cannot be read, is none of Items, or holds too many; no Item is of the collection; or
            two that are wanted have one id.
    """
    searches = [_Search(one) for one in wanted]
    found: dict[str, Item] = {}
    origin: dict[str, str] = {}
    others: Counter[str] = Counter()
    count = 0
    for file, item in _all_items(url):
        count += 1
        if item.get("collection") not in {None, collection}:
            others[str(item["collection"])] += 1
        elif any(search.wants(item) for search in searches):
            name, kept = item["id"], held(item)
            if name in found and found[name] != kept:
                raise _twice(name, origin[name], file)
            found[name], origin[name] = kept, file
            _check_count(len(found), url)
    if count and others.total() == count:
        raise InvalidCatalogError(
            f"Items of {', '.join(sorted(others))} alone",
            expected=collection,
            cure=f"Name their collection under {section}.collection.",
        )
    return found


class _Search:
    """One search: Items of an area in a closed interval of time, as of an API, or of some ids."""

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._ids = set(wanted["ids"]) if "ids" in wanted else None
        self._time = wanted.get("datetime")
        west, south, east, north = wanted.get("bbox", (0, 0, 0, 0))
        self._area = [shapely.box(west + turn, south, east + turn, north) for turn in (-_TURN, 0.0, _TURN)]

    def wants(self, item: Item) -> bool:
        """Whether it is of that area and time, or does not say so."""
        if self._ids is not None:
            return item["id"] in self._ids
        return self._is_then(item) and self._is_there(item)

    def _is_then(self, item: Item) -> bool:
        if self._time is None:
            return True
        try:
            return bool(self._time[0] <= sensed(item) <= self._time[1])
        except InvalidCatalogError:
            return True

    def _is_there(self, item: Item) -> bool:
        try:
            place: BaseGeometry = footprint(item)
        except InvalidCatalogError:
            return True
        return any(area.intersects(place) for area in self._area)


def _all_items(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files' Items, each with its file; what of a folder is no file of Items is named."""
    files = input_files(url, (*_JSON, *_LINES, *_PARQUET))
    without: list[str] = []
    for file in files:
        none = True
        for items in _items_of(file):
            none &= items is None
            for item in items or ():
                yield redacted(file.address), _resolved(item, file.address)
        if none:
            without.append(redacted(file.address))
    if without and len(without) == len(files):
        raise InvalidCatalogError("no Item of STAC", expected="Items or an ItemCollection", file=without[0])
    if without:
        more = ", ..." if len(without) > _NAMED else ""
        log.warning(
            "%d of %d files of %s hold no Items: %s", len(without), len(files), redacted(url),
            ", ".join(without[:_NAMED]) + more,
        )  # fmt: skip


def _items_of(file: InputFile) -> Iterator[Sequence[dict[str, Any]] | None]:
    """A file's Items, some at a time; none of a catalogue's or collection's own; None where it holds something else."""
    try:
        if file.ending in _PARQUET:
            yield from map(_features, _parquet(file.read()))
        elif file.ending in _LINES:
            lines = file.read().decode("utf-8-sig").splitlines()
            yield _features({"type": "FeatureCollection", "features": [json.loads(one) for one in lines if one]})
        else:
            yield _features(json.loads(file.read().decode("utf-8-sig")))
    except (ValueError, RecursionError, rustac.RustacError, pa.ArrowException) as error:
        raise InvalidCatalogError(
            f"{type(error).__name__}: {error}", expected="JSON or stac-geoparquet", file=redacted(file.address)
        ) from None
    except InvalidCatalogError as error:
        raise error.at(file=redacted(file.address)) from None


def _features(content: object) -> Sequence[dict[str, Any]] | None:
    kind = content.get("type") if isinstance(content, dict) else None
    if kind in {"Catalog", "Collection"}:
        return ()
    collected = content.get("features") if isinstance(content, dict) and kind == "FeatureCollection" else content
    features = [content] if kind == "Feature" else collected
    if not isinstance(features, list) or (features and not any(_is_item(one) for one in features)):
        return None
    _check_count(len(features), "the file")
    for number, one in enumerate(features):
        if not _is_item(one):
            raise InvalidCatalogError(
                f"feature {number} is no Item", expected="id, properties and assets with an href each"
            )
    return features


def _is_item(one: object) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("id"), str):
        return False
    assets = one.get("assets")
    return (
        isinstance(one.get("properties"), dict)
        and isinstance(assets, dict)
        and all(isinstance(asset, dict) and isinstance(asset.get("href"), str) for asset in assets.values())
    )


def _parquet(content: bytes) -> Iterator[list[dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "items.parquet")
        path.write_bytes(content)
        stated = pq.read_metadata(path)
        inflated = sum(stated.row_group(number).total_byte_size for number in range(stated.num_row_groups))
        _check_count(stated.num_rows, "the file")
        if inflated > MOST_INFLATED:
            raise InvalidCatalogError(f"{inflated:,} bytes once inflated", expected=f"{MOST_INFLATED:,} at most")
        yield from read_table(path)


def _resolved(item: dict[str, Any], file: str) -> dict[str, Any]:
    """The Item with the full addresses of its assets."""
    assets = {name: asset | {"href": _full(asset["href"], file)} for name, asset in item["assets"].items()}
    return item | {"assets": assets}


def _full(href: str, file: str) -> str:
    if _SCHEME.match(href) or not href:
        return href
    if urlsplit(file).scheme in {"http", "https"}:
        return urljoin(redacted(file), href)
    if href.startswith("/"):
        return href
    scheme, mark, path = file.partition("://") if "://" in file else ("", "", file)
    return f"{scheme}{mark}{posixpath.normpath(posixpath.join(posixpath.dirname(path), href))}"


def _twice(name: str, first: str, second: str) -> InvalidCatalogError:
    return InvalidCatalogError(
        f"two Items of the id {name}: in {first} and {second}",
        expected="each id once",
        cure="Name the files by a pattern that takes one of them, such as FOLDER/*/item.json.",
    )


def _check_count(count: int, where: str) -> None:
    if count > MOST_ITEMS:
        raise InvalidCatalogError(
            f"more than {MOST_ITEMS:,} Items in {redacted(where)}",
            expected="fewer",
            cure="Use a smaller region or file.",
        )


def check_address_whole(item: Item) -> None:
    """Refuse an Item of a run whose signed addresses were cut when it was frozen: no read of it could succeed.

    Raises:
        InvalidCatalogError: It is one.
    """
    if item["properties"].get(SHORTENED):
        raise InvalidCatalogError(
            "its addresses were signed, and frozen without the signatures",
            expected="addresses that can be read as they are",
            cure="Search the catalogue that it is from (url).",
            scene=item["id"],
        )
