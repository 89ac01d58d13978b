"""Whether an event is looked at, and by which figures: a function of what is known, so that a decision can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from landslide_scale.errors import InvalidInputError
from landslide_scale.events.area import Area
from landslide_scale.events.event import EARTHQUAKE, Event
from landslide_scale.events.settings import GateConfig
from landslide_scale.events.shaking import Shaking

Verdict = Literal["passed", "waiting", "refused"]
"""Waiting: something is not known yet that decides. A refusal, too, is made anew when an event is updated."""

Cause = Literal["", "at sea", "too large"]
"""Why an event is refused, where that has a name: what was shaken is sea; it is more land than may be looked at."""

_HOUR = 3600.0
_Found = tuple[Verdict, str, Cause]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of an event at the gates.

    Attributes:
        verdict: The worst of all gates.
        reasons: Of each gate that did not pass, as a clause; of one that passed none.
        figures: What it was decided by, by name; None where it is not known.
        cause: Of a refusal, where all gates that refuse name the same.
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
    cause: Cause = ""

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict) or bool(self.reasons) != (self.verdict != "passed"):
            raise InvalidInputError(
                f"{self.verdict} for {list(self.reasons)}", expected=f"{', '.join(get_args(Verdict))} with reasons"
            )

    @property
    def passed(self) -> bool:
        """Whether the event is looked at."""
        return self.verdict == "passed"

    def __str__(self) -> str:
        told = ", ".join(f"{name} {_said(value)}" for name, value in self.figures.items())
        return f"{self.verdict}: {'; '.join(self.reasons) or 'all gates'} ({told})"


def decide(
    event: Event, gates: GateConfig, *, now: datetime, shaking: Shaking | None = None, area: Area | None = None
) -> Decision:
    """Whether an event is looked at.

    Args:
        event: As it is known now.
        gates: Which are.
        now: UTC, by which the wait for a ShakeMap is counted.
        shaking: By its ShakeMap; None where there is none yet.
        area: Ground to be looked at, where it is from elsewhere (a relation, or a person); else that of `shaking`.
    """
    ground = area or (shaking.area if shaking else None)
    figures = {
        "magnitude": event.magnitude,
        "depth_km": event.depth_km,
        "max_mmi": shaking.max_mmi if shaking else None,
        "max_mmi_on_land": shaking.max_mmi_on_land if shaking else None,
        "km2": ground.km2 if ground else None,
        "land_km2": ground.land_km2 if ground else None,
        "hours": (now - event.origin).total_seconds() / _HOUR,
        "area_source": ground.source if ground else None,
        "shakemap": shaking.version if shaking else None,
    }
    found = [*_of_extent(ground, gates)]
    if not event.given_by_hand:
        found += [*_of_event(event, gates), *_of_shaking(event, gates, now, shaking, ground)]
    verdicts = [verdict for verdict, _, _ in found]
    verdict: Verdict = "refused" if "refused" in verdicts else "waiting" if verdicts else "passed"
    causes = {cause for of, _, cause in found if of == "refused"}
    return Decision(
        verdict=verdict,
        reasons=tuple(reason for _, reason, _ in found),
        figures=figures,
        cause=causes.pop() if len(causes) == 1 else "",
    )


def _of_event(event: Event, gates: GateConfig) -> Iterator[_Found]:
    if event.kind != EARTHQUAKE:
        yield "refused", f"a {event.kind or 'nameless event'}, no earthquake", ""
    if event.magnitude is None:
        yield "waiting", "no magnitude yet", ""
    elif event.magnitude < gates.least_magnitude:
        yield "refused", f"magnitude {event.magnitude:g}, below {gates.least_magnitude:g}", ""
    if event.depth_km > gates.greatest_depth_km:
        yield "refused", f"{event.depth_km:g} km deep, deeper than {gates.greatest_depth_km:g} km", ""


def _of_shaking(
    event: Event, gates: GateConfig, now: datetime, shaking: Shaking | None, ground: Area | None
) -> Iterator[_Found]:
    """Shaking over land; where there is no ShakeMap it is waited for, and then the ground alone decides."""
    hours = (now - event.origin).total_seconds() / _HOUR
    if shaking is None and (ground is None or hours < gates.wait_for_shakemap_h):
        yield "waiting", f"no ShakeMap {hours:.1f} h after the origin", ""
        return
    if shaking is not None and shaking.max_mmi_on_land < gates.least_mmi:
        at_sea = shaking.max_mmi >= gates.least_mmi
        sea = " (over sea it is stronger)" if at_sea else ""
        said = f"shaking of MMI {shaking.max_mmi_on_land:.2f} over land{sea}, below {gates.least_mmi:g}"
        yield "refused", said, "at sea" if at_sea else ""
    if ground is not None and ground.land_km2 < gates.least_land_km2:
        said = f"{ground.land_km2:,.0f} km2 of land, less than {gates.least_land_km2:,.0f} km2"
        yield "refused", said, "at sea" if ground.km2 >= gates.least_land_km2 else ""


def _of_extent(ground: Area | None, gates: GateConfig) -> Iterator[_Found]:
    if ground is not None and ground.land_km2 > gates.greatest_land_km2:
        cure = "raise events.gates.greatest_land_km2 or least_mmi, or give the ground by hand"
        said = f"{ground.land_km2:,.0f} km2 of land, more than {gates.greatest_land_km2:,.0f} km2 ({cure})"
        yield "refused", said, "too large"


def _said(value: float | str | None) -> str:
    return (
        "not known" if value is None else value if isinstance(value, str) else f"{value:,.2f}".rstrip("0").rstrip(".")
    )
