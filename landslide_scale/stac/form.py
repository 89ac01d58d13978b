"""The form of an Item: what a table of Items can hold, whatever a catalogue says, looked at before anything else is.

A catalogue's answer is JSON of any kind, and what Items are frozen by is not made for that: values nested two hundred
deep end the process that writes them, and one value of another kind than its like spoils the table of all. So an Item
is looked at once, when it comes in; in place of one that is not as it should be stands its shadow, with nothing of it
but its id, its place and the reason, and is set aside by name as any other Item that lacks something.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.redaction import sayable
from landslide_scale.scene import utc
from landslide_scale.stac.holding.packed import spelled_out

Item = Mapping[str, Any]

MOST_DEPTH = 24
"""Of mappings and lists in each other; a polygon of several parts has six. What freezes them dies at two hundred."""

MOST_VALUES = 20_000
"""Of an Item; one of Sentinel-2 has some six hundred."""

MALFORMED = "landslide_scale:malformed"
"""Property of a shadow: why the Item that it stands for is not used."""

_MEMBERS = frozenset(
    {"type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"}
)
"""Of an Item; in a table they stand in one row with its properties."""

_INSTANTS = ("datetime", "start_datetime", "end_datetime", "created", "updated")
_LARGEST = 2**63
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,254}")
_LONGEST = 64
_LISTS = (list, tuple)
"""As JSON gives them, and as what reads stac-geoparquet does."""

_Kinds = dict[str, str]


class _OddError(ValueError):
    """Why an Item is not as it should be."""


def formed(found: Iterable[Item]) -> list[Item]:
    """Items in their order; in place of each that no table of Items can hold, its shadow."""
    items = list(found)
    forms = _Forms()
    reasons: dict[int, str] = {}
    for number, item in enumerate(items):
        try:
            forms.add(spelled_out(item))
        except _OddError as error:
            reasons[number] = str(error)
    if usual := forms.usual():
        for number, item in enumerate(items):
            if number not in reasons and (said := _unlike(item, usual)):
                reasons[number] = said
    return [_shadow(item, reasons[number]) if number in reasons else item for number, item in enumerate(items)]


class _Forms:
    """The forms that Items have; those of one catalogue share a few, and each is gone through once."""

    def __init__(self) -> None:
        self._kinds: dict[object, _Kinds] = {}
        self._counts: Counter[object] = Counter()

    def add(self, item: object) -> None:
        """Take an Item into account.

        Raises:
            _OddError: No table can hold it.
        """
        form = _form(item, 1)
        if form is None or form not in self._kinds:
            known = _kinds(item)  # which says where what is odd
            self._kinds[form] = known
        elif isinstance(item, Mapping):
            _check_members(item)
        self._counts[form] += 1

    def usual(self) -> dict[str, str]:
        """The kind that most have, by places at which some have another."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for form, kinds in self._kinds.items():
            for place, kind in kinds.items():
                found[place][kind] += self._counts[form]
        return {place: kinds.most_common(1)[0][0] for place, kinds in found.items() if len(kinds) > 1}


def _form(value: object, depth: int) -> object:
    """A value without what it says: kinds in place of texts and numbers; None where something in it is odd.

    An Item has some six hundred values: what JSON gives is told by its very type.
    """
    kind = type(value)
    if kind is str:
        return "text" if value.isascii() or _is_utf8(value) else None  # type: ignore[attr-defined, arg-type]
    if kind is float or kind is int:
        return "a number" if -_LARGEST < value < _LARGEST else None  # type: ignore[operator]
    if kind is dict:
        return _mapping_form(value, depth) if depth <= MOST_DEPTH else None  # type: ignore[arg-type]
    if kind is list:
        return _list_form(value, depth) if depth <= MOST_DEPTH else None  # type: ignore[arg-type]
    return _form_of_others(value, depth)


def _form_of_others(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return _kind(value)
    if isinstance(value, str):
        return "text" if _is_utf8(value) else None
    if isinstance(value, Mapping):
        return _mapping_form(value, depth) if depth <= MOST_DEPTH else None
    if isinstance(value, _LISTS):
        return _list_form(value, depth) if depth <= MOST_DEPTH else None
    return "a number" if isinstance(value, (int, float)) and -_LARGEST < value < _LARGEST else None


def _mapping_form(value: Mapping[str, object], depth: int) -> object:
    inner = []
    for key, one in value.items():
        form = _form(one, depth + 1)
        if form is None:
            return None
        inner.append((key, form))
    return tuple(inner)


def _list_form(value: Sequence[object], depth: int) -> object:
    kinds = set()
    for one in value:
        form = _form(one, depth + 1)
        if form is None:
            return None
        kinds.add(form)
    return frozenset(kinds)


def check_form(item: Item, *, kind: str = "scene") -> None:
    """Refuse the shadow of an Item.

    Args:
        item: As :func:`formed` gave it.
        kind: Of what it is an Item, for the error.

    Raises:
        InvalidCatalogError: It is one; the reason is the Item's.
    """
    reason = item["properties"].get(MALFORMED)
    if reason is not None:
        where: dict[str, Any] = {kind: item.get("id")}
        raise InvalidCatalogError(str(reason), expected="an Item as STAC has it", **where)


def _unlike(item: Item, usual: Mapping[str, str]) -> str:
    """What in an Item is of another kind than in most; empty where nothing is."""
    return next(
        (
            f"{_place(place)} is {kind}, and {usual[place]} in most Items"
            for place, kind in _kinds(item).items()
            if usual.get(place, kind) != kind
        ),
        "",
    )


def _shadow(item: object, reason: str) -> dict[str, Any]:
    """What is left of an Item: enough to say which it was, and where and when."""
    said = item if isinstance(item, Mapping) else {}
    name = said.get("id")
    known = isinstance(name, str) and _NAME.fullmatch(name)
    properties: dict[str, Any] = {MALFORMED: sayable(reason)}
    instant = said.get("properties", {}).get("datetime") if isinstance(said.get("properties"), Mapping) else None
    if isinstance(instant, str) and len(instant) <= _LONGEST:
        properties["datetime"] = instant
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name if known else sayable(ascii(name)[:80]) if isinstance(name, str) else "an Item without a name",
        "collection": said.get("collection") if isinstance(said.get("collection"), str) else None,
        "geometry": said.get("geometry") if _is_plain(said.get("geometry")) else None,
        "properties": properties,
        "assets": {},
        "links": [],
    }


def _is_plain(geometry: object) -> bool:
    with suppress(_OddError):
        _walk(geometry, "geometry", {})
        return True
    return False


def _kinds(item: object) -> _Kinds:
    """The kind of every value of an Item's properties and assets, by its place.

    Raises:
        _OddError: No table can hold it.
    """
    if not isinstance(item, Mapping):
        raise _OddError(f"{_kind(item)} in place of an Item")
    for name, value in item.items():
        if name not in {"properties", "assets"}:
            _walk(value, str(name), {})
    _check_members(item)
    kinds: _Kinds = {}
    for name in ("properties", "assets"):
        for key, value in item[name].items():
            _walk(value, f"{name}.{_text(key, name)}", kinds)
    return kinds


def _check_members(item: Item) -> None:
    """Refuse what is wrong with the members that STAC gives a form.

    Raises:
        _OddError: The first of it.
    """
    for name, kind in (("id", str), ("properties", Mapping), ("assets", Mapping)):
        if not isinstance(item.get(name), kind):
            raise _OddError(f"{name} is {_kind(item.get(name))}")
    problem = next(chain(_of_members(item), _of_assets(item["assets"]), _of_properties(item)), "")
    if problem:
        raise _OddError(problem)


def _of_members(item: Item) -> Iterator[str]:
    for name in ("stac_version", "collection", "type"):
        if item.get(name) is not None and not isinstance(item[name], str):
            yield f"{name} is {_kind(item[name])}"
    if not _are_texts(item.get("stac_extensions") or []):
        yield "stac_extensions is no list of texts"
    if not _is_box(item.get("bbox")):
        yield "bbox is no list of four or six numbers"
    links = item.get("links", [])
    if not isinstance(links, _LISTS) or not all(map(_is_link, links)):
        yield "links is no list of links"


def _of_assets(assets: Mapping[object, object]) -> Iterator[str]:
    for name, asset in assets.items():
        if not isinstance(asset, Mapping) or not isinstance(asset.get("href"), str):
            yield f"{_place(f'assets.{name}')} has no href"


def _of_properties(item: Item) -> Iterator[str]:
    properties: Mapping[str, object] = item["properties"]
    for name in _MEMBERS & properties.keys():
        if properties[name] != item.get(name):
            yield f"properties.{name} would take the place of the Item's own"
    for name in _INSTANTS:
        if properties.get(name) is not None and not _is_instant(properties[name]):
            yield f"properties.{name} is no instant"


def _are_texts(value: object) -> bool:
    return isinstance(value, _LISTS) and all(isinstance(one, str) for one in value)


def _is_box(value: object) -> bool:
    if value is None or not isinstance(value, _LISTS):
        return value is None
    return len(value) in {4, 6} and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in value)


def _is_link(link: object) -> bool:
    return (
        isinstance(link, Mapping)
        and isinstance(link.get("rel"), str)
        and isinstance(link.get("href"), str)
        and all(isinstance(link.get(name) or "", str) for name in ("type", "title", "method"))
    )


def _is_instant(value: object) -> bool:
    with suppress(ValueError, TypeError):
        return isinstance(value, str) and len(value) <= _LONGEST and utc(value) is not None
    return False


def _walk(value: object, place: str, kinds: _Kinds) -> None:
    """Note the kind of a value and of all in it; with a stack of its own, because they may lie deeper than Python's."""
    left: list[tuple[object, str, int]] = [(value, place, 1)]
    count = 0
    while left:
        one, where, depth = left.pop()
        count += 1
        if depth > MOST_DEPTH:
            raise _OddError(f"{_place(place)} is nested more than {MOST_DEPTH} deep")
        if count > MOST_VALUES:
            raise _OddError(f"{_place(place)} holds more than {MOST_VALUES:,} values")
        if one is None:
            continue
        kind = _kind(one)
        if kinds.setdefault(where, kind) != kind:
            raise _OddError(f"{_place(where)} is {kind} beside {kinds[where]}")
        if isinstance(one, Mapping):
            if not one and place.startswith(("properties", "assets")):
                raise _OddError(f"{_place(where)} is an empty mapping")
            left += [(inner, f"{where}.{_text(key, where)}", depth + 1) for key, inner in one.items()]
        elif isinstance(one, _LISTS):
            left += [(inner, f"{where}[]", depth + 1) for inner in one]
        else:
            _check_plain(one, where)


def _check_plain(value: object, place: str) -> None:
    if isinstance(value, str):
        _text(value, place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _OddError(f"{_place(place)} is no finite number")
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise _OddError(f"{_place(place)} is a number of more than 64 bits")


def _text(value: object, place: str) -> str:
    """A text as it is; one with half a character in it is no text."""
    if not isinstance(value, str) or not (value.isascii() or value.isprintable() or _is_utf8(value)):
        raise _OddError(f"{_place(place)} holds half a character")
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def _place(text: str) -> str:
    """A place as it can be said: names in it are a stranger's."""
    return sayable(text[:200].encode("ascii", "backslashreplace").decode())
