"""Frozen values from JSON, strictly: every key known, every type as declared, nothing coerced but 1 to 1.0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from landslide_scale.errors import InvalidCheckpointError

Value = TypeVar("Value")


def value_from_json(kind: type[Value], stored: object, key: str) -> Value:
    """A dataclass whose fields are dataclasses, tuples, dictionaries of text, literals, scalars, or one of several.

    Args:
        kind: The dataclass.
        stored: What ``json.loads`` gave.
        key: Name of the value, for messages.

    Raises:
        InvalidCheckpointError: Names the key, what it holds and what was expected.
    """
    if not isinstance(stored, dict):
        raise _refused(stored, "keys with values", key)
    hints = get_type_hints(kind)
    if unknown := sorted(stored.keys() - hints.keys()):
        raise _refused(unknown, f"only {', '.join(hints)}", key)
    declared = fields(cast("Any", kind))
    needed = {f.name for f in declared if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(needed - stored.keys()):
        raise _refused(sorted(stored), f"{', '.join(missing)} too", key)
    return kind(**{name: _parse(hints[name], item, f"{key}.{name}") for name, item in stored.items()})


def _parse(kind: object, stored: object, key: str) -> object:
    if isinstance(kind, type) and is_dataclass(kind):
        return value_from_json(kind, stored, key)
    if parse := _GENERIC.get(get_origin(kind)):
        return parse(get_args(kind), stored, key)
    if kind is float and type(stored) is int:
        return _float(stored, key)
    # Exactly the type: to isinstance, True is an int.
    if type(stored) is not kind:
        raise _refused(stored, getattr(kind, "__name__", str(kind)), key)
    return stored


def _float(stored: int, key: str) -> float:
    try:
        return float(stored)
    except OverflowError:
        raise InvalidCheckpointError(
            f"a whole number of {len(str(abs(stored)))} digits", expected="float, which ends at 1.8e308", key=key
        ) from None


def _one_of(kinds: tuple[object, ...], stored: object, key: str) -> object:
    """None where that is allowed, else the one other kind, or the dataclass whose ``name`` is the stored one."""
    if stored is None and NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    if len(kinds) == 1:
        return _parse(kinds[0], stored, key)
    if not isinstance(stored, dict):
        raise _refused(stored, "keys with values", key)
    names = {kind: get_args(get_type_hints(kind)["name"]) for kind in kinds}
    for kind, known in names.items():
        if stored.get("name") in known:
            return _parse(kind, stored, key)
    expected = " or ".join(repr(name) for known in names.values() for name in known)
    raise _refused(stored.get("name"), expected, f"{key}.name")


def _tuple(kinds: tuple[object, ...], stored: object, key: str) -> tuple[object, ...]:
    if not isinstance(stored, list):
        raise _refused(stored, "a list", key)
    return tuple(_parse(kinds[0], item, f"{key}[{place}]") for place, item in enumerate(stored))


def _dictionary(_: tuple[object, ...], stored: object, key: str) -> dict[str, object]:
    if not isinstance(stored, dict):
        raise _refused(stored, "keys with text", key)
    return {name: _parse(str, text, f"{key}.{name}") for name, text in stored.items()}


def _literal(allowed: tuple[object, ...], stored: object, key: str) -> object:
    if stored not in allowed:
        raise _refused(stored, " or ".join(map(repr, allowed)), key)
    return stored


_GENERIC: dict[Any, Callable[[tuple[Any, ...], object, str], object]] = {
    tuple: _tuple,
    dict: _dictionary,
    Literal: _literal,
    Union: _one_of,
    UnionType: _one_of,
}


def _refused(stored: object, expected: str, key: str) -> InvalidCheckpointError:
    return InvalidCheckpointError(f"{stored!r:.200}", expected=expected, key=key)
