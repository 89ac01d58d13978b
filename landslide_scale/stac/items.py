"""A catalogue's Items as plain values: what an Item says is checked here, and nothing is guessed."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import shapely
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.grid import project, transformer
from landslide_scale.redaction import sayable
from landslide_scale.scene import Access, Scene, Unused, utc
from landslide_scale.stac import identity, offsets
from landslide_scale.stac.filters import unmet
from landslide_scale.stac.form import check_form
from landslide_scale.stac.holding.packed import spelled_out
from landslide_scale.stac.hrefs import access, asset_href
from landslide_scale.stac.radiometry import VERDICTS, WITNESS_BANDS, Evidence
from landslide_scale.stac.settings import CatalogConfig

Item = Mapping[str, Any]
OWN_PREFIX = "landslide_scale:"
"""Of properties that this package adds to the Items it freezes; a catalogue's own of this name are not believed."""

SHORTENED = f"{OWN_PREFIX}addresses_shortened"
"""Of an Item whose addresses were frozen without their queries."""

_VERDICT = f"{OWN_PREFIX}offset_verdict"
_FIGURES = f"{OWN_PREFIX}offset_figures"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,254}")


@dataclass(frozen=True, kw_only=True)
class SortedOut:
    """What Items came to: those that lack nothing, their scenes, and those that cannot be one, with what is wrong."""

    items: tuple[Item, ...]
    scenes: tuple[Scene, ...]
    rejected: tuple[Unused, ...]


def sorted_out(items: Iterable[Item], config: CatalogConfig, bands: tuple[str, ...]) -> SortedOut:
    """The Items as :func:`scenes` makes them; one that lacks something is set aside, and what is wrong said of it."""
    sound: list[Item] = []
    made: list[Scene] = []
    rejected: list[Unused] = []
    may = access(config)
    for item in items:
        try:
            made += _made(item, config, bands, may)
            sound.append(item)
        except InvalidCatalogError as error:
            plain = InvalidCatalogError(error.found, expected=error.expected, cure=error.cure)
            rejected.append(unused(item, config, str(plain)))
    return SortedOut(items=tuple(sound), scenes=tuple(made), rejected=tuple(rejected))


def scenes(items: Iterable[Item], config: CatalogConfig, bands: tuple[str, ...]) -> list[Scene]:
    """The Items that are not left out as scenes, with the assets of `bands` and the scene classification.

    Raises:
        InvalidCatalogError: An Item lacks a band or a property, or points to an address that is not allowed.
    """
    may = access(config)
    return [scene for item in items for scene in _made(item, config, bands, may)]


def _made(item: Item, config: CatalogConfig, bands: tuple[str, ...], may: Access) -> list[Scene]:
    """The scene of an Item; none of one that is left out."""
    item = spelled_out(item)
    with readable(item):
        checked_name(item, "id", item["id"])
        check_form(item)
        if left_out(item, config):
            return []
        footprint(item)
        return [_scene(item, config, (*bands, "scl"), may)]


def left_out(item: Item, config: CatalogConfig) -> str:
    """The key that leaves an Item out, whatever its pixels are; empty where none does.

    Raises:
        InvalidCatalogError: A property that is asked for has another form.
    """
    with readable(item):
        if _cloud_cover(item) > config.max_cloud_cover:
            return "catalog.max_cloud_cover"
        return unmet(item, config.filter)


def unused(item: Item, config: CatalogConfig, reason: str) -> Unused:
    """An Item of which no scene is made; whatever it does not say, it may be."""
    name, tile = item.get("id"), ""
    with suppress(InvalidCatalogError), readable(item):
        tile = identity.tile(item)
    place: dict[str, Any] = {}
    with suppress(InvalidCatalogError), readable(item):
        place = {"bounds": _finite(item, footprint(item).bounds)}
    with suppress(InvalidCatalogError), readable(item):
        mask = config.asset_names["scl"]
        epsg = _epsg(item, mask)
        place = {"epsg": epsg, "bounds": _bounds(item, item["assets"].get(mask, {}), epsg)}
    known = isinstance(name, str) and _NAME.fullmatch(name)
    said = str(name) if known else sayable(repr(name)[:80])
    return Unused(id=said, quarantine=reason, sensed=sensed_if_said(item), tile=tile, **place)


def footprint(item: Item) -> BaseGeometry:
    """Where the catalogue says an Item has data, degrees.

    Raises:
        InvalidCatalogError: It does not say so.
    """
    with readable(item):
        return shapely.geometry.shape(item["geometry"])


def sensed(item: Item) -> datetime:
    """Acquisition instant, UTC.

    Raises:
        InvalidCatalogError: The Item does not say so.
    """
    with readable(item):
        return _instant(item["properties"]["datetime"])


def sensed_if_said(item: Item) -> datetime | None:
    """Acquisition instant, UTC; None where the Item does not say so, and may be of any window."""
    with suppress(InvalidCatalogError):
        return sensed(item)
    return None


def witness_assets(item: Item, config: CatalogConfig) -> tuple[tuple[str, str], ...]:
    """(band, href) of what is asked about the offset, the scene classification among it; none where a band is lacking.

    Raises:
        InvalidCatalogError: An address is not allowed.
    """
    names, bands = config.asset_names, (*WITNESS_BANDS, "scl")
    if not all(names[band] in item["assets"] for band in bands):
        return ()
    return tuple((band, asset_href(item, names[band], config)) for band in bands)


def told(item: Item) -> bool:
    """Whether the pixels of an Item were asked, and what they said is kept with it."""
    return _evidence(item) is not None


def with_evidence(item: Item, evidence: Evidence) -> dict[str, Any]:
    """The Item with what its pixels say, which is frozen with it: a resumed run decides alike without reading."""
    added = {_VERDICT: evidence.verdict, _FIGURES: evidence.figures}
    return {**item, "properties": {**item["properties"], **added}}


def _evidence(item: Item) -> Evidence | None:
    verdict = item["properties"].get(_VERDICT)
    if verdict not in VERDICTS:
        return None
    return Evidence(verdict=verdict, figures=str(item["properties"].get(_FIGURES, "")))


def _instant(text: str) -> datetime:
    """To the millisecond: that is what a frozen Item keeps, and a resumed run is to see the same scenes."""
    instant = utc(text)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@contextmanager
def readable(item: Item, *, kind: str = "scene") -> Iterator[None]:
    """What an Item lacks, or gives in another form than STAC's, is said of the Item, which is called a `kind`.

    Raises:
        InvalidCatalogError: Instead of what plain access to it raises.
    """
    try:
        yield
    except (
        KeyError, TypeError, ValueError, AttributeError, OSError, RuntimeError, RecursionError, ArithmeticError,
        shapely.errors.ShapelyError, ProjError,
    ) as error:  # fmt: skip
        where: dict[str, Any] = {kind: item.get("id")}
        raise InvalidCatalogError(
            f"{type(error).__name__}: {error}", expected="an Item of STAC's projection and EO extensions", **where
        ) from error


def _cloud_cover(item: Item) -> float:
    """Percent; an Item that does not say is taken as cloudless."""
    cover = float(item["properties"].get("eo:cloud_cover") or 0)
    if not math.isfinite(cover):
        raise _lacks(item, f"eo:cloud_cover {cover}", "a percentage")
    return cover


def _scene(item: Item, config: CatalogConfig, bands: tuple[str, ...], may: Access) -> Scene:
    """What many scenes have alike, the driver of a region holds once."""
    names = config.asset_names
    epsg = _epsg(item, names["scl"])
    baseline, evidence = identity.baseline(item), _evidence(item)
    decision, doubtful = (
        offsets.decision(item, config, baseline, evidence),
        offsets.doubtful(config, baseline, evidence),
    )
    return Scene(
        id=item["id"],
        tile=sys.intern(identity.tile(item)),
        epsg=epsg,
        bounds=_alike(_bounds(item, item["assets"].get(names["scl"], {}), epsg)),
        sensed=sensed(item),
        datatake=sys.intern(checked_name(item, "datatake", identity.datatake(item))),
        datastrip=_datastrip(item),
        baseline=baseline,
        generated=_instant(identity.generated(item)),
        cloud_cover=_cloud_cover(item),
        offset=decision.offset,
        offset_rule=sys.intern(decision.rule),
        assets=tuple((band, asset_href(item, names[band], config)) for band in bands),
        access=may,
        quarantine=decision.quarantine,
        doubtful=doubtful,
    )


@lru_cache(maxsize=4096)
def _alike(bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Bounds of a tile, of which there are hundreds of scenes."""
    return bounds


def checked_name(item: Item, what: str, name: object, *, kind: str = "scene") -> str:
    """A name that can go into logs, records and file names as it is.

    Raises:
        InvalidCatalogError: It is none; the error names the Item, which is called a `kind`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise InvalidCatalogError(
            f"{what} {repr(name)[:80]}",
            expected="a name of letters, digits and . _ : + -, at most 255",
            **{kind: repr(item.get("id"))[:80]},
        )
    return name


def _datastrip(item: Item) -> str:
    text = identity.datastrip(item)
    return text and checked_name(item, "datastrip", text)


def _epsg(item: Item, mask: str) -> int:
    for holder in (item["assets"].get(mask, {}), item["properties"]):
        code = str(holder.get("proj:code") or f"EPSG:{holder.get('proj:epsg')}")
        if re.fullmatch(r"EPSG:\d{4,6}", code):
            transformer(4326, int(code[5:]))  # raises where there is no such system
            return int(code[5:])
    raise _lacks(item, "no coordinate reference system", "proj:code or proj:epsg")


def _bounds(item: Item, asset: Item, epsg: int) -> tuple[float, float, float, float]:
    """Extent of the rasters, not of the valid data: a pixel with data is never outside it."""
    return _finite(item, _stated_bounds(item, asset, epsg))


def _finite(item: Item, bounds: Iterable[Any]) -> tuple[float, float, float, float]:
    west, south, east, north = (float(value) for value in bounds)
    if not all(map(math.isfinite, (west, south, east, north))) or west >= east or south >= north:
        raise _lacks(item, f"bounds {(west, south, east, north)}", "west < east and south < north")
    return west, south, east, north


def _stated_bounds(item: Item, asset: Item, epsg: int) -> tuple[Any, Any, Any, Any]:
    for holder in (asset, item["properties"]):
        if "proj:transform" in holder and "proj:shape" in holder:
            a, _, west, _, e, north = holder["proj:transform"][:6]
            rows, cols = holder["proj:shape"]
            return west, north + e * rows, west + a * cols, north
        if "proj:bbox" in holder:
            west, south, east, north = holder["proj:bbox"]
            return west, south, east, north
    found: tuple[float, float, float, float] = project(footprint(item), 4326, epsg).bounds
    return found


def _lacks(item: Item, found: str, expected: str) -> InvalidCatalogError:
    return InvalidCatalogError(found, expected=expected, scene=item.get("id"))
