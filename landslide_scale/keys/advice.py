"""What a refused key or value of a configuration may have been meant to be: said where it is refused.

Works on the JSON schema that pydantic makes of a configuration's model, and knows no configuration.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Tree = Mapping[str, Any]

MOST_NAMED = 16
"""Keys that are listed where none is near; more would hide the message."""

_ALIKE = 0.7
_NUMBER = re.compile(r"\s*([-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(.*)", re.DOTALL)

_EPSG = re.compile(r"\s*EPSG:(\d+)\s*", re.IGNORECASE)

_YAML = (
    ("'\\t'", "YAML that is indented by spaces: a tab is none"),
    ("mapping values are not allowed", "YAML with each key on a line of its own, and quotes around a text with `: `"),
    ("expected ',' or ']'", "YAML in which a list that begins with [ ends with ]"),
    ("expected ',' or '}'", "YAML in which a mapping that begins with { ends with }"),
    ("expected <block end>", "YAML in which the keys of one section begin in one column"),
    ("could not find expected ':'", "YAML of lines as `key: value`"),
    ("constructor for the tag", "YAML without tags"),
)


def expected_yaml(message: str) -> str:
    """What was expected where a parser says this of a text that is no YAML."""
    return next((expected for said, expected in _YAML if said in message), "YAML without tags")


def at(schema: Tree, path: Sequence[str | int]) -> list[Tree]:
    """What may stand at a path: one schema, or several where a section has several forms."""
    nodes = list(_forms(schema, schema))
    for part in path:
        nodes = [form for node in nodes for inner in _inner(node, part) for form in _forms(inner, schema)]
    return nodes


def advice_on_key(schema: Tree, path: Sequence[str | int]) -> str:
    """Where an unknown key belongs, how it may be spelt, or which keys there are in its place."""
    *section, name = path
    known = list(dict.fromkeys(key for node in at(schema, section) for key in node.get("properties", ())))
    forms = [node for node in at(schema, section) if name not in node.get("properties", ())]
    if name in known:
        return f"{_listed(forms)} here; it is a key of another form of this section"
    elsewhere = [place for place in _places(schema) if place.rpartition(".")[2] == name]
    if elsewhere:
        return f"it belongs at {' or '.join(elsewhere)}"
    near = nearest(str(name), known)
    return f"did you mean {near}?" if near else _listed(forms)


def advice_on_absence(schema: Tree, path: Sequence[str | int]) -> str:
    """What a section that is missing consists of; empty for a plain value."""
    return _listed(at(schema, path))


def advice_on_name(schema: Tree, path: Sequence[str | int]) -> str:
    """What names a section at a path may have that its user names the keys of; empty where nothing is said of them."""
    told = (node.get("propertyNames", {}).get("description", "") for node in at(schema, path))
    return next((str(said) for said in told if said), "")


def len_of_list(schema: Tree, path: Sequence[str | int]) -> int:
    """How many values a list of so many has; 0 where it may have any number."""
    return max((len(node.get("prefixItems", ())) for node in at(schema, path)), default=0)


def advice_on_value(schema: Tree, path: Sequence[str | int], value: object, problem: str) -> str:
    """How a value may have been meant, by the kind of problem that pydantic names; empty where that is not known."""
    if problem in _BY_VALUE:
        return _BY_VALUE[problem](value)
    nodes = at(schema, path)
    if problem in {"model_type", "dataclass_type", "dict_type"}:
        listed = _listed(nodes)
        return f"{listed}; leave the section out for its defaults" if value is None and listed else listed
    if problem == "literal_error":
        known = [str(word) for node in nodes for word in node.get("enum", ())]
        near = nearest(value, known) if isinstance(value, str) else ""
        return f"did you mean {near}?" if near else ""
    if problem == "string_pattern_mismatch":
        return next((str(node["description"]) for node in nodes if "description" in node), "")
    return ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that a misspelt one is most like; empty where none is."""
    words = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), words, n=1, cutoff=_ALIKE)
    parts = [name for name in words if word and (name.startswith(word.lower()) or word.lower() in name.split("-"))]
    return words[found[0]] if found else words[parts[0]] if parts else ""


def _number(value: object) -> str:
    """The number that a text or list holds."""
    if isinstance(value, list) and len(value) == 1:
        return f"without brackets: {_shown(value[0])}"
    if isinstance(value, str) and (code := _EPSG.fullmatch(value)):
        return f"the code alone: {code[1]}"
    if isinstance(value, float) and value.is_integer():
        return f"without a point: {int(value)}"
    found = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return ""
    return f"the number alone, without its unit: {found[1]}" if found[2] else f"without quotes: {found[1]}"


def _list(value: object) -> str:
    if isinstance(value, dict):
        return "each of its values begins with `- `"
    return "as [...]" if value is None else f"as [{_shown(value)}]"


def _text(value: object) -> str:
    return f'in quotes: "{_shown(value)}"' if isinstance(value, (int, float)) else ""


def _truth(_: object) -> str:
    return "without quotes"


_BY_VALUE = {"int_type": _number, "float_type": _number, "tuple_type": _list, "string_type": _text, "bool_type": _truth}


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(nodes: Iterable[Tree]) -> str:
    keys = list(dict.fromkeys(key for node in nodes for key in node.get("properties", ())))
    more = ["..."] if len(keys) > MOST_NAMED else []
    return f"there are {', '.join([*keys[:MOST_NAMED], *more])}" if keys else ""


def _forms(node: Tree, schema: Tree) -> Iterator[Tree]:
    """A schema without references, or each of its alternatives."""
    if "$ref" in node:
        yield from _forms(schema["$defs"][str(node["$ref"]).rpartition("/")[2]], schema)
        return
    alternatives = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    for one in alternatives:
        yield from _forms(one, schema)
    if not alternatives:
        yield node


def _inner(node: Tree, part: str | int) -> Iterator[Tree]:
    if isinstance(part, int):
        fixed = node.get("prefixItems", ())
        yield from [fixed[part]] if part < len(fixed) else [node["items"]] if "items" in node else []
        return
    if part in node.get("properties", {}):
        yield node["properties"][part]
    yield from [of for of in (node.get("additionalProperties"),) if isinstance(of, Mapping)]
    yield from node.get("patternProperties", {}).values()


def _places(schema: Tree) -> list[str]:
    """Every key of the configuration, with dots; of what is named by the user none."""
    return list(dict.fromkeys(_below(schema, schema, "")))


def _below(node: Tree, schema: Tree, prefix: str) -> Iterator[str]:
    for form in _forms(node, schema):
        for key, field in form.get("properties", {}).items():
            yield prefix + key
            yield from _below(field, schema, f"{prefix}{key}.")
