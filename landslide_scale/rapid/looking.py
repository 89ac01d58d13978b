"""Where to look for an event: what was published of it, to the ground, and whether it passes the gates."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from landslide_scale.errors import InvalidFeedError, InvalidInputError
from landslide_scale.events.area import Area, grown
from landslide_scale.events.detail import Detail, Product, landslide_model, preferred
from landslide_scale.events.gate import Decision, decide
from landslide_scale.events.land import Land
from landslide_scale.events.relations import area_by_magnitude
from landslide_scale.events.settings import EventsConfig
from landslide_scale.events.shaking import Shaking, read_shaking
from landslide_scale.rapid.known import OUTSIDE, Followed, State

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What an event's publications say at an instant.

    Attributes:
        detail: All of them.
        now: Those published later do not count yet, UTC.
    """

    detail: Detail
    now: datetime

    def newest(self, kind: str) -> Product | None:
        """The product of a kind that counts."""
        return preferred(self.detail.products, kind, self.now)

    @property
    def withdrawn(self) -> bool:
        """Whether there were ShakeMaps by then, and none counts any more."""
        published = [one for one in self.detail.products if one.kind == "shakemap" and one.updated <= self.now]
        return bool(published) and self.newest("shakemap") is None


def looked_up(known: Followed, sight: Sight | None, config: EventsConfig, land: Land, now: datetime) -> Followed:
    """The event with its ground, and what the gates say of it.

    What was to be looked at once stays so; so does an event of which a map was begun.

    Args:
        known: As it was known.
        sight: What was published of it; None of one that a person gave.
        config: Gates, and who may be asked.
        land: What says what is land.
        now: UTC.

    Raises:
        FeedAwayError: A ShakeMap cannot be had now.
    """
    if sight is None:
        decision = decide(known.event, config.gates, now=now, area=known.area)
        return _decided(known, decision, now)
    known = replace(known, event=known.event.told(sight.detail.event), withdrawn=sight.withdrawn)
    product = sight.newest("shakemap")
    shaking = None if product is None else _shaking(product, config, land)
    if shaking is not None and product is not None:
        area = grown(known.area, shaking.area, land)
        shakemap = (shaking.version, product.address("grid.xml") or "")
        known = replace(known, area=area, shakemap=shakemap, max_mmi=shaking.max_mmi_on_land)
    elif known.area is None and _waited(known, config, now):
        known = replace(known, area=_by_magnitude(known, land))
    decision = decide(known.event, config.gates, now=now, shaking=shaking, area=known.area)
    return _decided(known, decision, now)


def _shaking(product: Product, config: EventsConfig, land: Land) -> Shaking | None:
    """What a ShakeMap says; None where it says nothing: the event is gone on with as one that has none."""
    try:
        return read_shaking(product, config.access, least_mmi=config.gates.least_mmi, land=land)
    except InvalidFeedError as error:
        log.warning("ShakeMap %s is not used: %s", product.version, error)
        return None


def _waited(known: Followed, config: EventsConfig, now: datetime) -> bool:
    return now - known.event.origin >= timedelta(hours=config.gates.wait_for_shakemap_h)


def _by_magnitude(known: Followed, land: Land) -> Area | None:
    try:
        return area_by_magnitude(known.event, land)
    except InvalidInputError as error:
        log.warning("%s: no ground by its magnitude: %s", known.event.id, error)
        return None


def _decided(known: Followed, decision: Decision, now: datetime) -> Followed:
    """Its state by the gates; one of which a map was begun goes on, whatever they say now."""
    told = known.decided(now, str(decision), "gates: ")
    if told is not known:
        log.info("%s: %s", known.event.id, decision)
    if decision.passed or known.asked is not None:
        return told if told.state not in OUTSIDE else told.at("no scene", "not looked for yet")
    return told.at(_outside(known, decision), "; ".join(decision.reasons))


def _outside(known: Followed, decision: Decision) -> State:
    """What an event is at that does not pass, or not yet."""
    if decision.verdict == "waiting":
        return "withdrawn" if known.withdrawn else "waiting"
    return decision.cause or "refused"


def failure_model(sight: Sight | None) -> dict[str, Any] | None:
    """What the preferred landslide model of an event is, and where its probabilities are; None where there is none."""
    product = None if sight is None else sight.newest("ground-failure")
    if product is None:
        return None
    try:
        model = landslide_model(product)
    except InvalidInputError as error:
        log.warning("ground failure %s is not used: %s", product.version, error)
        return None
    alerts = {key: value for key, value in sorted(product.properties.items()) if key.startswith("landslide-")}
    return {**asdict(model), "version": product.version, "said": alerts}
