"""A model's JSON schema, in which every key says what it means."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that editors' YAML support reads in full."""

_AS_YAML = {"None": "null", "True": "true", "False": "false"}
_ENTRY = re.compile(r"    (?P<names>\w+(?:, \w+)*): (?P<text>.*)")


def schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON schema of a configuration file."""
    made = model.model_json_schema(schema_generator=_WithMeanings, ref_template="#/definitions/{model}")
    definitions = made.pop("$defs", {})
    return {"$schema": DIALECT, "title": title, **made, "definitions": definitions}


def meanings(kind: type) -> dict[str, str]:
    """What the keys of a class mean, as its docstring and those of its bases say under ``Attributes:``."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        found |= _entries(inspect.cleandoc(base.__doc__ or ""))
    return found


def summary(kind: type) -> str:
    """The first paragraph of a class's docstring."""
    return _plain(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0])


def _entries(doc: str) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    for line in doc.partition("Attributes:\n")[2].splitlines():
        if entry := _ENTRY.fullmatch(line):
            names = entry["names"].split(", ")
            found |= dict.fromkeys(names, entry["text"])
        elif line.startswith(" " * 8):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return {name: _plain(text) for name, text in found.items()}


def _plain(text: str) -> str:
    """A docstring's words as they are read in YAML."""
    words = " ".join(text.replace("``", "`").split())
    return re.sub(r"\b(None|True|False)\b", lambda found: _AS_YAML[found[0]], words)


class _WithMeanings(GenerateJsonSchema):
    """Puts meanings where pydantic has titles made of names."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A section."""
        return _told(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """A section that is a plain dataclass."""
        return _told(super().dataclass_schema(schema), schema["cls"])

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:  # noqa: ARG002 pydantic's
        """An instant, of which the day alone may be given."""
        return {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ].+)?$"}

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        """A list; the one of values of their own each is written as this dialect has it."""
        made = super().tuple_schema(schema)
        return {"items" if key == "prefixItems" else key: value for key, value in made.items()}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 pydantic's
        """Keys have names."""
        return False


def _told(made: Mapping[str, Any], kind: type) -> dict[str, Any]:
    meant = meanings(kind)
    properties = {key: _first(meant.get(key), field) for key, field in made.get("properties", {}).items()}
    told = {key: value for key, value in made.items() if key not in {"title", "description"}}
    return {"description": summary(kind)} | told | ({"properties": properties} if properties else {})


def _first(meaning: str | None, field: Mapping[str, Any]) -> dict[str, Any]:
    return dict(field) if meaning is None else {**field, "description": meaning}


def resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """What a key may hold, references followed and ``null`` left aside; its own words before those of its section."""
    inner = _one(field.get("anyOf", ()))
    if inner is not None:
        return resolved(inner | {key: value for key, value in field.items() if key != "anyOf"}, definitions)
    name = str(field.get("$ref", "")).rpartition("/")[2]
    if not name:
        return dict(field)
    own = {key: value for key, value in field.items() if key != "$ref"}
    return resolved(definitions[name] | own, definitions)


def _one(alternatives: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The alternative that is not null, where there is one alone."""
    left = [dict(one) for one in alternatives if one.get("type") != "null"]
    return left[0] if len(left) == 1 else None
