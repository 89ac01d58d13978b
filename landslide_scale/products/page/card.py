"""One landslide in words: every column, for someone who does not know their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from landslide_scale.products.page.pick import Row, known

NOT_KNOWN = "not known"
NOT_SAID = "nothing said yet"

_WINDS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def _plain(value: object) -> str:
    return str(value) or NOT_SAID


def _square_metres(value: float) -> str:
    return f"{value:,.0f} m²"


def _metres(value: float) -> str:
    return f"{value:,.0f} m"


def _probability(value: float) -> str:
    return f"{value:.2f}"


def _degrees(value: float) -> str:
    return f"{value:.0f}°"


def _aspect(value: float) -> str:
    return f"{value:.0f}° ({_WINDS[round(value / 45) % len(_WINDS)]})"


def _whole(value: float) -> str:
    return f"{int(value):,}"


def _day(value: date) -> str:
    return f"{value:%Y-%m-%d}"


def _bits(value: float) -> str:
    return f"bits {int(value)}" if value else "none"


def _shortened(value: str) -> str:
    return value[:16] or NOT_KNOWN


def _names(value: str) -> str:
    return ", ".join(value.split(",")) if value else "none named"


COLUMNS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "id": ("identifier", _plain),
    "window": ("seen in", _plain),
    "priority": ("priority, 1 first", _whole),
    "area_m2": ("area", _square_metres),
    "length_m": ("length", _metres),
    "width_m": ("width", _metres),
    "pixels": ("pixels", _whole),
    "prob_mean": ("probability, mean", _probability),
    "prob_max": ("probability, largest", _probability),
    "confidence": ("confidence", _plain),
    "looks": ("clear observations (median)", _whole),
    "date_min": ("last clear day before it", _day),
    "date_max": ("newest clear day", _day),
    "elevation_m": ("elevation", _metres),
    "slope_deg": ("slope", _degrees),
    "aspect_deg": ("faces", _aspect),
    "exclusion": ("grounds to leave it out", _bits),
    "advisory": ("look twice, for", _bits),
    "touches": ("cuts, blocks or touches", _names),
    "status": ("status", _plain),
    "verdict": ("verdict", _plain),
    "verdict_reason": ("reason of the verdict", _plain),
    "reviewer": ("reviewer", _plain),
    "scene_ids": ("scenes", _names),
    "model_sha256": ("model (SHA-256)", _shortened),
    "run_id": ("run", _plain),
}
"""Words of each column and how its values are said, in the order of a card."""


def said(row: Row, name: str) -> str:
    """A column's value in words."""
    value = row.get(name)
    return COLUMNS[name][1](value) if known(value) else NOT_KNOWN


def card(row: Row) -> list[tuple[str, str]]:
    """All columns of a landslide, each with what it says."""
    return [(words, said(row, name)) for name, (words, _) in COLUMNS.items()]
