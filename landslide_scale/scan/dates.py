"""Whether windows have dates enough for the test of persistence, which says nothing where they have not."""

from __future__ import annotations

from landslide_scale.errors import InvalidConfigError
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.plan import Plan


def few_dates(plan: Plan, composite: CompositeConfig) -> list[str]:
    """Of each window that has scenes, but nowhere enough of them for the test: a line that says so."""
    if composite.persistence is None:
        return []
    needed, most = composite.persistence.dates, _most_dates(plan)
    return [
        f"{plan.windows[layer].days}: {dates} dates at most, too few for composite.persistence, which needs {needed}"
        for layer, dates in sorted(most.items())
        if dates < needed
    ]


def check_dates(plan: Plan, composite: CompositeConfig) -> None:
    """Make sure that the test of persistence can tell anything.

    Raises:
        InvalidConfigError: No window has as many dates anywhere as it needs.
    """
    most = _most_dates(plan)
    if composite.persistence is not None and len(few_dates(plan, composite)) == len(most) > 0:
        raise InvalidConfigError(
            f"{composite.persistence.dates} dates, where no window has more than {max(most.values())} on any ground",
            expected="windows of so many datatakes: one that is never met tells nothing",
            cure="Make windows longer, or leave composite.persistence out.",
            key="composite.persistence.dates",
        )


def _most_dates(plan: Plan) -> dict[int, int]:
    """By index of the windows that have scenes: the most datatakes that reach one block."""
    found: dict[int, int] = {}
    for unit in plan.units:
        if unit.scenes:
            dates = len({scene.datatake for scene in unit.scenes})
            found[unit.layer] = max(found.get(unit.layer, 0), dates)
    return found
