"""How far the response to an event is, and what a version of it is by IFRC's Monty extension 1.3.0.

Vocabulary: github.com/IFRCGo/monty-stac-extension, v1.3.0, docs/model/response-taxonomy.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from landslide_scale.rapid.publication.version import Version


@dataclass(frozen=True, kw_only=True)
class Producer:
    """Who answers for what is published.

    Attributes:
        name: Of the organisation; empty is not said.
        countries: Codes by ISO 3166-1 alpha-3 of where events are looked for; empty is not said.
    """

    name: str = ""
    countries: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How far the response to an event is.

    Attributes:
        observed_before: Releases with observed ground before this one.
        ended: Whether the event is no longer looked at.
    """

    observed_before: int = 0
    ended: bool = False


def kind_of_response(stage: Stage, *, seen: bool, confirmed: bool) -> tuple[str, int | None]:
    """What kind of response a version is, and the number of the monitoring update; None of what is none.

    Before any ground was seen it is a situational report (``eo-sr``). The first release with observed ground, with its
    corrections, is a first estimate (``eo-fep``); later ones are monitoring updates (``eo-mon``), counted from 1; that
    of an event that has ended, or that an analyst stands for, is a delineation (``eo-del``).

    Args:
        stage: How far the response is.
        seen: Whether any ground was seen clear since the event.
        confirmed: Whether an analyst stands for it.
    """
    if not seen:
        return "eo-sr", None
    number = stage.observed_before or None
    if stage.ended or confirmed:
        return "eo-del", number
    return ("eo-mon" if number else "eo-fep"), number


def detail(version: Version, producer: Producer, stage: Stage) -> dict[str, Any]:
    """What a response says of itself; `methodology` is ``modelled`` of what saw no ground.

    Args:
        version: Of the event.
        producer: Who publishes it.
        stage: How far the response is.
    """
    seen, confirmed = version.figures.observed_km2 > 0, bool(version.made_of.confirmed_by)
    response, number = kind_of_response(stage, seen=seen, confirmed=confirmed)
    observed = "semi_automated" if confirmed or version.made_of.verdicts else "automated"
    found = {
        "type": response,
        "source_id": f"{version.event}-v{version.number:04d}",
        "status": "finished" if stage.ended else "published",
        "methodology": observed if seen else "modelled",
    }
    return (
        found
        | ({} if number is None else {"monitoring_number": number})
        | ({"producer": producer.name} if producer.name else {})
    )
