"""What all commands share: how an argument becomes a path or a configuration, and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from landslide_scale.errors import InvalidConfigError
from landslide_scale.paths import input_place
from landslide_scale.strictyaml import Section
from landslide_scale.strictyaml import load as load_file

INCOMPLETE = 3
"""Exit code where something was made and something else is missing or not whole."""

RUN_DIR = "RUN_DIR"

C = TypeVar("C", bound=Section)


def load(kind: type[C], path: str) -> C:
    """The configuration in the file that ``--config`` names.

    Raises:
        InvalidConfigError: No such path, no YAML mapping, or a key or value that is refused.
    """
    return load_file(kind, given(path, input_place, "--config"))


def given(text: str, rule: Callable[[str], str], key: str) -> str:
    """An argument that is a path, by a rule of `paths`.

    Raises:
        InvalidConfigError: The rule refuses it; `key` says which argument it is.
    """
    try:
        return rule(text)
    except InvalidConfigError as error:
        raise error.at(key=key) from None
