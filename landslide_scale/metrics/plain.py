"""Scores as JSON."""

from __future__ import annotations

import math
from typing import Any


def nan_as_null(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """The same dictionaries and lists, with None for every ``nan``: JSON has no word for it."""
    if isinstance(value, dict):
        return {key: nan_as_null(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [nan_as_null(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
