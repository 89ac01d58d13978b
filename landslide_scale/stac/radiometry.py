"""Whether a scene's digital numbers still carry the radiometric offset: the provider's rule, and its pixels as witness.

Surface reflectance is (DN + offset) / 10 000, with an offset of -1000 from processing baseline 04.00 on (Sentinel-2
Products Specification Document). A provider that has taken the offset off says so with a flag, and some flags are
wrong, so where a provider is known for it the pixels are asked too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import NEWER_OFFSET, Scl
from landslide_scale.scene import FIRST_BASELINE_WITH_OFFSET, Scene

Verdict = Literal["carried", "removed", "unclear"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

WITNESSES = (Scl.VEGETATION, Scl.WATER)
"""Classes whose darkest pixels are dark in blue and red everywhere. Bare ground is not: a desert scene that never had
an offset has its 1st percentile of blue at 1010 and of red at 2111 over all pixels."""

WITNESS_BANDS = ("blue", "red")
"""Bands that are asked."""

ENOUGH = 1000
"""Pixels of those classes in a sample; fewer are inconclusive."""

INCONCLUSIVE = "pixels inconclusive"
"""In the rule behind an offset: the pixels were asked, and did not tell."""

LOW_PERCENTILE = 1
REMOVED_BELOW = 700
"""Numbers that carry the offset would make a reflectance below -0.03 of this. Real scenes without it: 147 to 257."""

CARRIED_WITHIN = (900, 1700)
"""Where the darkest vegetation and water (reflectance -0.01 to 0.07) lie with the offset. Brighter ones are misclassed
desert or haze and say nothing."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a scene's pixels say of the offset.

    Attributes:
        verdict: ``carried``: it is still to be applied. ``removed``: it is not. ``unclear``: neither is certain.
        figures: What that rests on, for people.
    """

    verdict: Verdict
    figures: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be added to a scene's digital numbers.

    Attributes:
        offset: 0 or -1000.
        rule: Why.
        quarantine: Why the scene must not be used; empty where it may be.
    """

    offset: int
    rule: str
    quarantine: str = ""


def in_question(baseline: tuple[int, int]) -> bool:
    """Whether products of a baseline were made with an offset, which somebody may have taken off since."""
    return baseline >= FIRST_BASELINE_WITH_OFFSET


def witness(blue: NDArray[np.uint16], red: NDArray[np.uint16], classes: NDArray[np.uint8]) -> Evidence:
    """What a sample of a scene says.

    Args:
        blue: Digital numbers (H, W); 0 is no data.
        red: Likewise.
        classes: Scene classes (H, W) of the same ground.
    """
    counted = np.isin(classes, WITNESSES) & (blue > 0) & (red > 0)
    count = int(counted.sum())
    if count < ENOUGH:
        return Evidence(verdict="unclear", figures=f"{count} pixels of vegetation and water, fewer than {ENOUGH}")
    low = sorted(float(np.percentile(band[counted], LOW_PERCENTILE)) for band in (blue, red))
    figures = f"darkest percent of {count} pixels of vegetation and water at {low[0]:.0f} and {low[1]:.0f}"
    return Evidence(verdict=_verdict(low[0], low[1]), figures=figures)


def _verdict(darker: float, brighter: float) -> Verdict:
    if darker < REMOVED_BELOW:
        return "removed"
    return "carried" if CARRIED_WITHIN[0] <= darker and brighter <= CARRIED_WITHIN[1] else "unclear"


def decide(baseline: tuple[int, int], *, flag: str | None, flagged: bool, evidence: Evidence | None = None) -> Decision:
    """The offset of a scene.

    Args:
        baseline: Its processing baseline.
        flag: The provider's property that says the offset was taken off; None where it never is.
        flagged: What that property says.
        evidence: What its pixels say; None where they were not asked.
    """
    version = f"baseline {baseline[0]:02d}.{baseline[1]:02d}"
    if not in_question(baseline):
        return Decision(offset=0, rule=f"{version} has no offset")
    if flag is not None and flagged:
        ruled = Decision(offset=0, rule=f"{version}, {flag} says it is in the pixels")
    else:
        ruled = Decision(offset=NEWER_OFFSET, rule=f"{version} has an offset of {NEWER_OFFSET}")
    return ruled if evidence is None else weighed(ruled, evidence)


def confronted(scene: Scene, evidence: Evidence) -> Scene:
    """A scene whose catalogue is in doubt, once its pixels were asked."""
    found = weighed(Decision(offset=scene.offset, rule=scene.offset_rule), evidence)
    return replace(scene, offset_rule=found.rule, quarantine=found.quarantine, doubtful=False)


def weighed(ruled: Decision, evidence: Evidence) -> Decision:
    """The rule's decision, as far as the pixels bear it out; it leaves no offset only where that was taken off."""
    if evidence.verdict == "unclear":
        return replace(ruled, rule=f"{ruled.rule}; {INCONCLUSIVE} ({evidence.figures})")
    if evidence.verdict == ("carried" if ruled.offset else "removed"):
        return replace(ruled, rule=f"{ruled.rule}; pixels agree ({evidence.figures})")
    return against(ruled, evidence.verdict, "its pixels say", evidence.figures)


def against(ruled: Decision, verdict: Verdict, who: str, figures: str) -> Decision:
    """The rule's decision, not to be used because somebody says otherwise."""
    return replace(ruled, quarantine=f"{ruled.rule}, but {who} it was {_SPOKEN[verdict]} ({figures})")


_SPOKEN = {"carried": "never applied", "removed": "applied already"}
