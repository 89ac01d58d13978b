"""The report's table of landslides: the largest, and those of the highest priority, each with its picture."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_scale.products.landslide import CONFIDENCES, STATUSES
from landslide_scale.products.page.card import COLUMNS, said
from landslide_scale.products.page.chips import chip
from landslide_scale.products.page.pick import Picked, Row, known
from landslide_scale.products.scanned import Scanned

_SHOWN = ("priority", "area_m2", "prob_mean", "confidence", "looks", "date_max", "touches", "status", "window")

HEADS = tuple(COLUMNS[name][0] for name in _SHOWN)
"""What stands above the columns."""

_NUMBERS = {"priority", "area_m2", "prob_mean", "looks"}
_ORDERED = {"confidence": CONFIDENCES, "status": STATUSES}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A row of the table.

    Attributes:
        index: Of the landslide among those that are drawn.
        id: Its own.
        chip: Data URI of its picture; empty where there is none.
        cells: What is said in each column, and what it is sorted by.
    """

    index: int
    id: str
    chip: str
    cells: tuple[tuple[str, str], ...]


def listing(of: Scanned, picked: Picked) -> tuple[Listed, ...]:
    """The rows, the highest priority first."""
    layers = {window.days: layer for layer, window in enumerate(of.windows)}
    places = {(row["window"], row["id"]): index for index, row in enumerate(picked.drawn)}
    return tuple(
        Listed(
            index=places[row["window"], row["id"]],
            id=str(row["id"]),
            chip=chip(of, row["geometry"], layers[row["window"]]),
            cells=tuple((said(row, name), _order(row, name)) for name in _SHOWN),
        )
        for row in picked.listed
    )


def _order(row: Row, name: str) -> str:
    """What a cell is sorted by, as the page's script reads it; what is not known comes after all that is."""
    value = row.get(name)
    if name in _ORDERED and value in _ORDERED[name]:
        return str(_ORDERED[name].index(value))
    if known(value):
        return str(value)
    return "Infinity" if name in _NUMBERS else "~"
