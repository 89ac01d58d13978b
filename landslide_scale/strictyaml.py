"""Strict YAML: every key known and given once, as text; every value of its type; what is refused is refused by name."""

from __future__ import annotations

import json
from collections.abc import Hashable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Tag, ValidationError

from landslide_scale.errors import InvalidConfigError
from landslide_scale.keys.advice import advice_on_absence, advice_on_key, advice_on_value, expected_yaml, len_of_list
from landslide_scale.redaction import without_secrets

_MOST_VALUES = 100_000
_MERGE = "tag:yaml.org,2002:merge"
_HIDDEN = "\0"
"""In no key of a file: YAML has no such character."""


class _Loader(yaml.SafeLoader):
    """Plain YAML in which every key of a mapping is given once, as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 PyYAML's
        """A mapping, its keys checked.

        Raises:
            InvalidConfigError: A key is no text, or given twice.
        """
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
        line = node.start_mark.line + 1
        for key in keys:
            if not isinstance(key, str):
                raise InvalidConfigError(f"key {key!r}", expected="keys that are text", line=line)
            if keys.count(key) > 1:
                raise InvalidConfigError(f"key {key} twice", expected="every key once", line=line)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 PyYAML's
        """A value.

        Raises:
            InvalidConfigError: It looks like a date or number and is none, as 30 February.
        """
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            line = node.start_mark.line + 1
            found = f"{node.value} ({error})"
            raise InvalidConfigError(found, expected="YAML of dates and numbers that there are", line=line) from error


class Section(BaseModel):
    """A mapping of a configuration: every key known, every type as declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


C = TypeVar("C", bound=BaseModel)


def load(kind: type[C], path: str | Path) -> C:
    """Read a configuration file.

    Raises:
        InvalidConfigError: It cannot be read, is no YAML mapping, or holds a key or value that is refused.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfigError(str(error), expected="a readable YAML file", file=path) from error
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 a SafeLoader
    except InvalidConfigError as error:
        raise error.at(file=path) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split()).replace('"<unicode string>", ', "")
        raise InvalidConfigError(said, expected=expected_yaml(said), file=path) from error
    return parse(kind, content, source=str(path))


def parse(kind: type[C], content: object, *, source: str = "configuration") -> C:
    """A configuration from plain mappings and lists.

    Raises:
        InvalidConfigError: A key or value is refused; every one of them is named.
    """
    if not isinstance(content, dict):
        raise InvalidConfigError(f"a {type(content).__name__}", expected="a mapping of sections", file=source)
    try:
        return kind.model_validate_json(_json(content))
    except ValidationError as error:
        schema = kind.model_json_schema()
        problems = [_problem(detail, schema) for detail in error.errors(include_url=False)]
        raise InvalidConfigError("; ".join(problems), file=source) from None  # the chain repeats values
    except InvalidConfigError as error:
        raise error.at(file=source) from error


def _json(content: object) -> str:
    try:
        if _values(content, {}) > _MOST_VALUES:
            raise InvalidConfigError("aliases that repeat each other without end", expected="plain YAML values")
        return json.dumps(content, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidConfigError(str(error), expected="plain YAML values") from error


def _values(content: object, known: dict[int, int]) -> int:
    """How many values there are once every alias is written out; nothing is written out for it."""
    if id(content) not in known:
        inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
        known[id(content)] = 1 + sum(_values(value, known) for value in inner)
    return known[id(content)]


def _plain(value: object) -> str:
    """YAML reads unquoted dates as dates."""
    if isinstance(value, date):
        return value.isoformat()
    raise InvalidConfigError(f"a {type(value).__name__}", expected="plain YAML values")


def hidden_tag(name: str) -> Tag:
    """A tag of a union's member that is left out of places: pydantic names it there, where no key of the file does."""
    return Tag(_HIDDEN + name)


def _problem(detail: Any, schema: dict[str, Any]) -> str:  # noqa: ANN401 pydantic's ErrorDetails
    """What is wrong, and how it may have been meant."""
    path = [part for part in detail["loc"] if not str(part).startswith((_HIDDEN, "[key]"))]
    key, problem = ".".join(str(part) for part in path), detail["type"]
    if problem in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"key {key}: unknown{_aside(advice_on_key(schema, path))}"
    if problem in {"missing", "missing_argument"} and isinstance(path[-1], str):
        return f"key {key}: missing{_aside(advice_on_absence(schema, path))}"
    if problem == "missing":
        return f"key {key}: missing; expected: {len_of_list(schema, path[:-1])} values"
    value = without_secrets(json.dumps(detail["input"], default=str))  # before it is cut
    advice = advice_on_value(schema, path, detail["input"], problem)
    return f"key {key}: found {value[:80]}; expected: {detail['msg']}{_aside(without_secrets(advice)[:200])}"


def _aside(advice: str) -> str:
    return f" ({advice})" if advice else ""
