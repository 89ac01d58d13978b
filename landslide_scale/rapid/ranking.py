"""The order in which units of an event are scanned: the most likely ground first, so that the first hour covers it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from landslide_scale.errors import LandslideScaleError
from landslide_scale.events.detail import LandslideModel
from landslide_scale.events.failure import mean_probability, read_model
from landslide_scale.events.settings import EventsConfig
from landslide_scale.reading.geographic import Geographic
from landslide_scale.scan.driver import Rank, as_planned
from landslide_scale.scan.plan import Place

log = logging.getLogger(__name__)

_OF_MODEL = tuple(one.name for one in fields(LandslideModel))


class Ranking:
    """Ranks units by an event's landslide model.

    Args:
        events: Who may be asked for it; None: nobody.
    """

    def __init__(self, events: EventsConfig | None) -> None:
        self._events = events

    def of(self, failure: Mapping[str, Any] | None) -> Rank:
        """The order of units; as planned where there is no model, or it cannot be read: nothing waits for it."""
        if failure is None or self._events is None:
            return as_planned
        try:
            grid = read_model(LandslideModel(**{name: failure[name] for name in _OF_MODEL}), self._events.access)
        except LandslideScaleError as error:
            log.warning("units are scanned as planned: %s", error)
            return as_planned
        return _by(grid)


def _by(grid: Geographic) -> Rank:
    def rank(place: Place) -> float:
        return -mean_probability(place.lattice.outline(place.box), grid)

    return rank
