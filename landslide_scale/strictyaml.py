"""Strict YAML: every key known and given once, as text; every value of its type; what is refused is refused by name.

Plain values are what YAML 1.2 says (its core schema): ``2e-4`` is a number. What parsers of YAML 1.1 read otherwise
(``010``, ``yes``, ``1_000``, ``12:30``) is refused with the ways to write it. Dates are text. A section may be merged
into another by ``<<``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Tag, ValidationError
from pydantic_core import PydanticCustomError
from yaml.reader import ReaderError

from landslide_scale.errors import InvalidConfigError
from landslide_scale.keys.advice import (
    advice_on_absence,
    advice_on_key,
    advice_on_name,
    advice_on_value,
    expected_yaml,
    len_of_list,
)
from landslide_scale.keys.expected import expected_value
from landslide_scale.paths import input_place, output_place
from landslide_scale.redaction import without_secrets

_MOST_VALUES = 100_000
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_DECIMAL = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_PLAIN = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", rf"{_DECIMAL}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
    ("timestamp", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:.*)?", "0123456789"),
    ("merge", r"<<", "<"),
)
"""What a value without quotes is, by its form and its first characters; anything else is text."""

_OF_1_1 = (
    (r"[-+]?0[0-9]+", "a number without 0 before it (after 0o an octal one)"),
    (r"[-+]?0b[01_]+", "a decimal number"),
    (
        r"(?=.*_)[-+]?(?:0x[0-9a-fA-F_]+|0[0-7_]+|[1-9][0-9_]*|(?:[0-9][0-9_]*)?\.[0-9][0-9_]*|[0-9][0-9_]*\.)(?:[eE][-+][0-9]+)?",
        "a number without _",
    ),
    (r"[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", ""),
    (r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF", "true or false"),
)
"""Forms that YAML 1.1 reads otherwise than 1.2, and how what it takes them for is written."""
_QUOTED = re.compile(r"(?<=alias|nchor|andle) '[^']*'")
_OF_KEY = "[key]"
"""How pydantic ends the place of what is wrong with a name that stands where a key does."""
_HIDDEN = "\0"
"""In no key of a file: YAML has no such character."""


class _Loader(yaml.SafeLoader):
    """Plain YAML in which every key of a mapping is given once, as text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 PyYAML's, filled below

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 PyYAML's
        """A mapping, its keys checked.

        Raises:
            InvalidConfigError: A key is no text, or given twice.
        """
        nodes = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in nodes]
        line = node.start_mark.line + 1
        for key, of in zip(keys, nodes, strict=True):
            if not isinstance(key, str) or of.tag == f"{_TAG}timestamp":
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

    def text(self, node: yaml.ScalarNode) -> str:
        """Text; without quotes, none that YAML 1.1 takes for something else.

        Raises:
            InvalidConfigError: It is ambiguous, or an escape in it is half a character.
        """
        if node.style is None:
            self._check_unambiguous(node)
        written = str(self.construct_scalar(node))
        if any("\ud800" <= character <= "\udfff" for character in written):
            found, line = f"half a character in {ascii(written)[:80]}", node.start_mark.line + 1
            raise InvalidConfigError(found, expected="text of whole characters", line=line)
        return written

    def whole(self, node: yaml.ScalarNode) -> int:
        """A whole number: decimal, or after 0o and 0x."""
        self._check_unambiguous(node)
        written = str(self.construct_scalar(node))
        return int(written, {"0o": 8, "0x": 16}.get(written[:2], 10))

    def number(self, node: yaml.ScalarNode) -> float:
        """A number with a point or an exponent; infinite ones and none at all are left to their keys to refuse."""
        return float(str(self.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))

    def date_text(self, node: yaml.ScalarNode) -> str:
        """A date or instant as it is written; what only YAML has a form for, in ISO's."""
        instant, written = self.construct_yaml_timestamp(node), str(self.construct_scalar(node))
        try:
            datetime.fromisoformat(written)
        except ValueError:
            return str(instant.isoformat())
        return written

    def _check_unambiguous(self, node: yaml.ScalarNode) -> None:
        for form, meant in _OF_1_1:
            if re.fullmatch(form, node.value):
                expected = f'"{node.value}" in quotes, if text is meant'
                raise InvalidConfigError(
                    f"{node.value}, which YAML 1.1 and 1.2 read differently",
                    expected=f"{meant}, or {expected}" if meant else expected,
                    line=node.start_mark.line + 1,
                )


for _kind, _form, _first in _PLAIN:
    for _character in (*_first, *([""] if _kind == "null" else [])):
        _Loader.yaml_implicit_resolvers.setdefault(_character, []).append(
            (f"{_TAG}{_kind}", re.compile(rf"(?:{_form})\Z"))
        )
for _kind, _constructor in (
    ("str", _Loader.text),
    ("int", _Loader.whole),
    ("float", _Loader.number),
    ("timestamp", _Loader.date_text),
):
    _Loader.add_constructor(f"{_TAG}{_kind}", _constructor)


class Section(BaseModel):
    """A mapping of a configuration: every key known, every type as declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def place(rule: Callable[[str], str]) -> AfterValidator:
    """A rule for paths as pydantic takes it: what it refuses is said with its key and as it is written."""

    def checked(value: str) -> str:
        try:
            return rule(value)
        except InvalidConfigError as error:
            raise PydanticCustomError("place", "{said}", {"said": _expectation(error)}) from None

    return AfterValidator(checked)


def _expectation(error: InvalidConfigError) -> str:
    return f"{error.expected}. {error.cure}" if error.cure else error.expected


InputPath = Annotated[str, place(input_place)]
"""Path or URL of something that is read."""

OutputPath = Annotated[str, place(output_place)]
"""Path or URL of a folder that is written to."""

C = TypeVar("C", bound=BaseModel)


def load(kind: type[C], path: str | Path) -> C:
    """Read a configuration file.

    Raises:
        InvalidConfigError: It cannot be read, is no YAML mapping, or holds a key or value that is refused.
    """
    return read(kind, _text(path), source=str(path))


def keys_of(path: str | Path) -> tuple[str, ...]:
    """The keys at the top of a configuration file, of whatever kind it is.

    Raises:
        InvalidConfigError: It cannot be read, or is no YAML mapping.
    """
    return tuple(_mapping(_content(_text(path), source=str(path)), source=str(path)))


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)  # without the path
        raise InvalidConfigError(said, expected="a readable YAML file", file=path) from error


def read(kind: type[C], text: str, *, source: str) -> C:
    """A configuration from the text of a file.

    Raises:
        InvalidConfigError: It is no YAML mapping, or holds a key or value that is refused.
    """
    return parse(kind, _content(text, source=source), source=source)


def _content(text: str, *, source: str) -> object:
    try:
        content: object = yaml.load(text, Loader=_Loader)  # noqa: S506 a SafeLoader
    except InvalidConfigError as error:
        raise error.at(file=source) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = _said(error)
        # Without the chain: it shows the line, which may be the one with a password.
        raise InvalidConfigError(said, expected=expected_yaml(said), file=source) from None
    return content


def _said(error: Exception) -> str:
    """What is wrong with a text, and at which line and column; nothing of the text itself but tags."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"no YAML ({type(error).__name__}{f': {error.reason}' if isinstance(error, ReaderError) else ''})"
    context = f" {error.context}" if error.context and "'" not in error.context else ""
    problem = _QUOTED.sub("", error.problem or "no YAML")
    return f"{problem}{context} at line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"


def parse(kind: type[C], content: object, *, source: str = "configuration") -> C:
    """A configuration from plain mappings and lists.

    Raises:
        InvalidConfigError: A key or value is refused; every one of them is named.
    """
    mapping = _mapping(content, source=source)
    try:
        return kind.model_validate_json(_json(mapping))
    except ValidationError as error:
        schema = kind.model_json_schema()
        problems = [_problem(detail, schema) for detail in error.errors(include_url=False)]
        raise InvalidConfigError("; ".join(problems), file=source) from None  # the chain repeats values
    except InvalidConfigError as error:
        raise error.at(file=source) from error


def _mapping(content: object, *, source: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InvalidConfigError(f"a {type(content).__name__}", expected="a mapping of sections", file=source)
    return content


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
    path = [part for part in detail["loc"] if not str(part).startswith((_HIDDEN, _OF_KEY))]
    path = path or [ascii(part) for part in detail["loc"][-1:]]  # a key of the file that begins like that
    key, problem = ".".join(str(part) for part in path), detail["type"]
    if problem in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"key {key}: unknown{_aside(advice_on_key(schema, path))}"
    if problem in {"missing", "missing_argument"} and isinstance(path[-1], str):
        return f"key {key}: missing{_aside(advice_on_absence(schema, path))}"
    if problem == "missing":
        return f"key {key}: missing; expected: {len_of_list(schema, path[:-1])} values"
    value = without_secrets(json.dumps(detail["input"], default=str))  # before it is cut
    of_name = detail["loc"][-1:] == (_OF_KEY,) and problem == "string_pattern_mismatch"
    advice = advice_on_name(schema, path[:-1]) if of_name else advice_on_value(schema, path, detail["input"], problem)
    if problem == "string_pattern_mismatch" and advice:  # says in words what the pattern says
        return f"key {key}: found {value[:80]}; expected: {without_secrets(advice)[:200]}"
    expected = expected_value(problem, detail.get("ctx", {}), detail["msg"])
    return f"key {key}: found {value[:80]}; expected: {expected}{_aside(without_secrets(advice)[:200])}"


def _aside(advice: str) -> str:
    return f" ({advice})" if advice else ""
