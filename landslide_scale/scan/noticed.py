"""What of a plan a person should look at before it is carried out."""

from __future__ import annotations

from landslide_scale.errors import InvalidConfigError
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.scan.plan import Plan

REPEATED = 1.15
"""Patches read, and predicted where there are many predictors, for each that the ground needs, from which on a larger
block is worth its memory."""

FEW = 25_000_000
"""Pixels that a network is shown in a whole scan, in as many patches as they are in; minutes on a CPU, and nothing that
a person would change a configuration for."""

LARGEST = 4096
"""Pixels of a block that is worth proposing: of a larger one, a band of one scene may take longer than a try may."""


def repeated(plan: Plan) -> list[str]:
    """Where many blocks lie beside each other that are small beside the patch: a line that says what that costs."""
    if len({unit.box for unit in plan.units}) == 1:
        return []
    patches, block = plan.patches, max(lattice.block for lattice in plan.extents)
    times = patches.repeats(block)
    if times <= REPEATED or plan.patch_count * patches.patch**2 < FEW:
        return []
    read = f"blocks of {block} px have {times:.2f} times the patches read that the ground needs"
    why = f"of one of {patches.patch} px over two blocks all pixels are read for both"
    shown = "a predictor that has both soon after each other predicts it once, two predictors twice"
    return [f"{read}: {why}; {shown}; {_larger(patches, block)}"]


def _larger(patches: PatchLattice, block: int) -> str:
    for side in range(2 * block, LARGEST + 1, block):
        if (times := patches.repeats(side)) <= REPEATED:
            return f"with grid.block: {side} it would be {times:.2f} times, in readers of more memory"
    return f"no grid.block up to {LARGEST} px avoids it"


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
