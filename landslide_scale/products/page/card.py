"""One landslide in words: every column, for someone who does not know their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

from landslide_scale.products.bits import LOW_SUN_DEG, SNOW_NEAR_M, Advisory, Exclusion
from landslide_scale.products.page.pick import Row, known

NOT_KNOWN = "not known"
NOT_SAID = "nothing said yet"

_EXCLUSIONS: Mapping[int, str] = {
    Exclusion.SNOW_NEAR: f"snow or ice within {SNOW_NEAR_M} m",
    Exclusion.WATER: "water",
    Exclusion.FLAT: "flat ground",
    Exclusion.CROPLAND: "cropland",
    Exclusion.RIVER_BANK: "river bank",
    Exclusion.BUILT_UP: "built-up ground",
}
_ADVISORIES: Mapping[int, str] = {
    Advisory.ONE_LOOK: "seen clear once",
    Advisory.OFFSET_INCONCLUSIVE: "a scene's offset is not certain",
    Advisory.LOW_SUN: f"a scene with the sun lower than {LOW_SUN_DEG:g} degrees",
    Advisory.DATES_DISAGREE: "a later window did not see it",
}
_WINDS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def _plain(value: object) -> str:
    return str(value) or NOT_SAID


def _square_metres(value: float) -> str:
    return f"{value:,.0f} m²"


def _metres(value: float) -> str:
    return f"{value:,.0f} m"


def _probability(value: float) -> str:
    return f"{value:.2f}"


def _hundredths(value: float) -> str:
    return f"{value:+.0f} %"


def _degrees(value: float) -> str:
    return f"{value:.0f}°"


def _aspect(value: float) -> str:
    return f"{value:.0f}° ({_WINDS[round(value / 45) % len(_WINDS)]})"


def _whole(value: float) -> str:
    return f"{int(value):,}"


def _day(value: date) -> str:
    return f"{value:%Y-%m-%d}"


def _bits(words: Mapping[int, str], value: float) -> str:
    """What the bits of a value say; one that has no words yet is told by its number."""
    bits = [1 << place for place in range(int(value).bit_length()) if int(value) >> place & 1]
    return ", ".join(words.get(bit, f"bit {bit}") for bit in bits) or "none"


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
    "change": ("change", _plain),
    "rdndvi": ("change of NDVI (rdNDVI, median)", _hundredths),
    "witnesses": ("witnesses", _plain),
    "looks": ("clear observations (median)", _whole),
    "date_min": ("last clear day before it", _day),
    "date_max": ("newest clear day", _day),
    "elevation_m": ("elevation", _metres),
    "slope_deg": ("slope", _degrees),
    "aspect_deg": ("faces", _aspect),
    "exclusion": ("ground of frequent errors", partial(_bits, _EXCLUSIONS)),
    "advisory": ("less sure for", partial(_bits, _ADVISORIES)),
    "touches": ("cuts, blocks or touches", _names),
    "merged": ("took in, of earlier versions", _names),
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
