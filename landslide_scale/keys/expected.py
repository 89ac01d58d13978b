"""What a value of a configuration must be, in the words that its meaning is written in, by the kind of problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section of keys",
    "model_type": "a section of keys",
    "dataclass_type": "a section of keys",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them, not {actual_length}",
    "too_long": "at most {max_length} of them, not {actual_length}",
    "string_too_short": "text of {min_length} characters or more",
    "string_too_long": "text of at most {max_length} characters",
}
"""By pydantic's names of problems, with what it says of each."""
_CHOICES = {"literal_error", "enum"}


def expected_value(problem: str, facts: Mapping[str, Any], said: str) -> str:
    """What was expected where a value is refused.

    Args:
        problem: Its kind, as pydantic names it.
        facts: What pydantic says of it: limits and choices.
        said: Pydantic's own sentence, for what there are no words of ours for; validators of this package write it.
    """
    if problem in _CHOICES:
        choices = re.findall(r"'([^']*)'", str(facts["expected"])) or [str(facts["expected"])]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if problem in _WORDS:
        return _WORDS[problem].format(**{name: _plain(value) for name, value in facts.items()})
    return said


def _plain(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value
