"""A configuration written out: every key with its default, what it means, and what it may be.

What must be given is there as an example; a section that is not there by default, and the other forms of one that has
several, are comments: without their ``# `` they are lines like the others.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from landslide_scale.keys.schema import resolved

WIDTH = 100
_INDENT = 2
_BARE = re.compile(
    r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[a-z_][\w./-]*|\d{4}-\d\d-\d\d", re.ASCII | re.IGNORECASE
)
"""Texts that YAML reads as such without quotes, and dates."""
_TYPES = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}

Tree = Mapping[str, Any]


class Given(dict[str, Any]):
    """Values of a section that are the user's own, and no example."""


def sheet(schema: Tree, example: Tree) -> str:
    """The configuration of a schema as YAML.

    Args:
        schema: As :func:`landslide_scale.keys.schema.schema` makes it.
        example: Values in place of defaults: of all keys that must be given, and of others where that helps.
    """
    parts = _Sheet(schema["definitions"]).parts(schema, example)
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


class _Sheet:
    def __init__(self, definitions: Tree) -> None:
        self._definitions = definitions

    def section(self, section: Tree, given: Tree) -> list[str]:
        """Lines of all keys of a section."""
        return [line for lines in self.parts(section, given) for line in lines]

    def parts(self, section: Tree, given: Tree) -> Iterator[list[str]]:
        """Lines of each key of a section, which has the values `given` in place of defaults."""
        for key, field in section["properties"].items():
            inner = resolved(field, self._definitions)
            value = given.get(key, inner.get("default"))
            own = isinstance(value, Given) or isinstance(given, Given)
            note = "" if own else _note(inner, value, required=key in section.get("required", ()))
            yield [*_comment(_meaning(inner, note)), *self._entry(key, inner, value)]

    def _entry(self, key: str, inner: Tree, value: Any) -> list[str]:  # noqa: ANN401 JSON
        """A key and its value; the parts of what is a section in lines of their own."""
        if "oneOf" in inner:
            return self._forms(key, inner, {} if value is None else value)
        if "properties" in inner:
            lines = [f"{key}:", *_indented(self.section(inner, value or self._example_of(inner)))]
            return lines if value is not None or "default" not in inner else _commented(lines)
        of = resolved(inner.get("additionalProperties") or {}, self._definitions)
        if value and ("properties" in of or "oneOf" in of):
            parts = [self._entry(_yaml(name), of, part) for name, part in value.items()]
            return [f"{key}:", *_indented(line for part in parts for line in part)]
        each_of = inner.get("items")
        if isinstance(each_of, dict) and "properties" in (of := resolved(each_of, self._definitions)):
            each = _commented(["Each of them:", *_indented(self.section(of, self._example_of(of)))])
            return [*([f"{key}:", *(f"  - {_yaml(one)}" for one in value)] if value else [f"{key}: []"]), *each]
        if value is None and "default" not in inner:  # made anew each time, which a schema does not say
            value = {} if inner.get("type") == "object" else []
        return [f"{key}: {_yaml(value)}"]

    def _forms(self, key: str, inner: Tree, value: Any) -> list[str]:  # noqa: ANN401 JSON
        """The form that a value has, of a section the one of its name, and the others as comments."""
        forms = [resolved(form, self._definitions) for form in inner["oneOf"]]
        if isinstance(value, dict):
            chosen = next((form for form in forms if value.get("name") in _names(form)), forms[0])
            lines = [f"{key}:", *_indented(self.section(chosen, value))]
        else:
            chosen = next(form for form in forms if "properties" not in form)
            lines = [f"{key}: {_yaml(value)}"]
        for form in forms:
            if form is not chosen:
                lines += [*_comment(f"Or: {form['description']}"), *_commented(self._form(key, form))]
        return lines

    def _form(self, key: str, form: Tree) -> list[str]:
        """A key in a form that it does not have: a section of examples, or the one word that stands for it."""
        if "properties" not in form:
            return [f"{key}: {_yaml(form['const'])}"]
        return [f"{key}:", *_indented(self.section(form, self._example_of(form)))]

    def _example_of(self, section: Tree) -> dict[str, Any]:
        """Keys that a section must have and no example is given for: the first choice of each, or an empty text."""
        fields = {key: resolved(section["properties"][key], self._definitions) for key in section.get("required", ())}
        return {key: (field.get("enum") or [field.get("minimum", "")])[0] for key, field in fields.items()}


def _names(form: Tree) -> list[str]:
    name = form.get("properties", {}).get("name", {})
    return [*name.get("enum", ()), *([name["const"]] if "const" in name else [])]


def _note(inner: Tree, value: Any, *, required: bool) -> str:  # noqa: ANN401 JSON
    """What else is to be known of a value that stands there."""
    if required:
        return "required; an example"
    if "default" in inner and value != inner["default"] and not isinstance(inner["default"], dict):
        return f"an example; by default {_yaml(inner['default'])}"
    return ""


def _meaning(inner: Tree, note: str) -> str:
    said = "; ".join(fact for fact in (note, _limits(inner)) if fact)
    meant = str(inner.get("description", ""))
    meant = meant if meant.endswith("...") else meant.removesuffix(".")
    return f"{meant} ({said})." if said else f"{meant}."


def _limits(inner: Tree) -> str:
    """What a value may be, as far as its meaning does not say so."""
    if "enum" in inner:
        said = all(f"`{name}`" in inner.get("description", "") for name in inner["enum"])
        return "" if said else f"one of {', '.join(inner['enum'])}"
    if isinstance(of := inner.get("items"), dict) and "$ref" not in of:
        words = _limits(of)
        return f"a list; each {words}" if words else "a list"
    low, high = inner.get("minimum"), inner.get("maximum")
    above, below = inner.get("exclusiveMinimum"), inner.get("exclusiveMaximum")
    bounds = [
        f"{low} to {high}" if low is not None and high is not None else "",
        f"at least {low}" if low is not None and high is None else "",
        f"above {above}" if above is not None else "",
        f"at most {high}" if high is not None and low is None else "",
        f"below {below}" if below is not None else "",
    ]
    return ", ".join(bound for bound in (_TYPES.get(str(inner.get("type")), ""), *bounds) if bound)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _indented(lines: Iterable[str]) -> list[str]:
    return [" " * _INDENT + line for line in lines]


def _commented(lines: Iterable[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _yaml(value: Any) -> str:  # noqa: ANN401 JSON
    """A value on one line, which reads back the same."""
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(_yaml(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_yaml(key)}: {_yaml(one)}' for key, one in value.items())}}}"
    if isinstance(value, float):
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))  # without a point YAML takes it for text
    return json.dumps(value)
