"""What a landslide has of those of the version before: its id, and the verdict on the ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidConfigError
from landslide_scale.products.kinship import Kinship, kinship
from landslide_scale.products.landslide import STATUSES

AGREEMENT = 0.5
"""Share of the smaller of two outlines that both have, from which on they are of the same ground: less, and two
neighbours would be taken for one; more, and one of which clouds hid a half would be lost."""

GROWN = 0.2
"""Share of its area by which a landslide may grow without being looked at again."""

UNREVIEWED = STATUSES[0]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an analyst said of a landslide.

    Attributes:
        status: One of `landslide.STATUSES`.
        verdict: In words.
        verdict_reason: One of `landslide.VERDICT_REASONS`, or empty.
        reviewer: Who said so.
    """

    status: str = UNREVIEWED
    verdict: str = ""
    verdict_reason: str = ""
    reviewer: str = ""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict that was brought in.

    Attributes:
        layer: First day of the layer, as :func:`layer_of` tells it.
        id: Of the landslide.
        said: The verdict.
        area_m2: Of the landslide that was judged.
        applied: Whether the version before has it already: then it tells alone how large the landslide was.
    """

    layer: str
    id: str
    said: Verdict
    area_m2: float
    applied: bool = False


@dataclass(frozen=True, kw_only=True)
class Rules:
    """By which landslides are known again.

    Attributes:
        agreement: Share of the smaller of two outlines that both have, from which on they are of the same ground.
        grown: Share of its area, open, beyond which one that has grown is to be looked at again.
    """

    agreement: float = AGREEMENT
    grown: float = GROWN

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            InvalidConfigError: Naming it.
        """
        if not 0 < self.agreement <= 1:
            raise InvalidConfigError(f"{self.agreement:g}", expected="a share in (0, 1]", key="agreement")
        if not self.grown >= 0:
            raise InvalidConfigError(f"{self.grown:g}", expected="a share, 0 or more", key="grown")


@dataclass(frozen=True, kw_only=True)
class Known:
    """A landslide as a version has it.

    Attributes:
        id: In its layer no other has it.
        geometry: Degrees of WGS 84, cut at the antimeridian.
        area_m2: Of its pixels.
        merged: Ids of earlier ones that it took in.
        said: The verdict on it.
    """

    id: str
    geometry: BaseGeometry
    area_m2: float
    merged: tuple[str, ...] = ()
    said: Verdict = Verdict()


@dataclass(frozen=True, kw_only=True)
class Heritage:
    """The version of a map before this one, whose landslides are known again.

    Attributes:
        earlier: Path or URL of its products.
        judgements: What analysts said of its landslides, and of those before it: the newest of each.
        rules: By which they are known again.
    """

    earlier: str
    judgements: tuple[Judgement, ...] = ()
    rules: Rules = Rules()


def layer_of(window: str) -> str:
    """What a layer is known by in every version: the day it begins; the day it ends moves with each acquisition."""
    return window.partition(" to ")[0]


def inherited(
    earlier: Sequence[Known], now: Sequence[Known], judgements: Mapping[str, Judgement], rules: Rules
) -> list[Known]:
    """The landslides of now, in their order, with the ids, the merged ones and the verdicts that they inherit.

    One that goes on with an earlier one has its id. One that does not keeps its own, with a number behind where that
    was another's. A verdict goes with all ground that it was said of, unless that has grown: then it is said in words.

    Args:
        earlier: Of the same layer, in the version before.
        now: With ids of their own, each once.
        judgements: Of the layer, by id.
        rules: By which they are known again.
    """
    kin = kinship(_shapes(earlier), _shapes(now), rules.agreement)
    merged = [_merged(earlier, kin, number) for number in range(len(now))]
    ids = _ids(earlier, now, kin, merged)
    found = []
    for number, one in enumerate(now):
        parent = kin.heirs.get(number, kin.parts.get(number))
        said = one.said
        if parent is not None:
            known = earlier[parent]
            said = _carried(known, one, judgements.get(known.id), rules, whole=number in kin.heirs)
        found.append(
            Known(id=ids[number], geometry=one.geometry, area_m2=one.area_m2, merged=merged[number], said=said)
        )
    return found


def _shapes(some: Sequence[Known]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    shapes = np.empty(len(some), object)
    shapes[:] = [one.geometry for one in some]
    return shapes


def _merged(earlier: Sequence[Known], kin: Kinship, number: int) -> tuple[str, ...]:
    """Ids that a landslide of now took in, in this version or before."""
    taken = [earlier[other] for other in kin.merged.get(number, ())]
    before = earlier[kin.heirs[number]].merged if number in kin.heirs else ()
    return tuple(sorted({*before, *(one.id for one in taken), *(name for one in taken for name in one.merged)}))


def _ids(
    earlier: Sequence[Known], now: Sequence[Known], kin: Kinship, merged: Sequence[tuple[str, ...]]
) -> dict[int, str]:
    """Those of earlier ones where they go on; else their own, or the first with a number that nobody had."""
    ids = {number: earlier[other].id for number, other in kin.heirs.items()}
    used = {one.id for one in earlier} | {name for names in merged for name in names}
    for number, one in enumerate(now):
        if number not in ids:
            name, more = one.id, 1
            while name in used:
                more += 1
                name = f"{one.id}-{more}"
            ids[number] = name
            used.add(name)
    return ids


def _carried(known: Known, now: Known, judgement: Judgement | None, rules: Rules, *, whole: bool) -> Verdict:
    """The verdict on an earlier landslide as it stands for one of now, which may be a part of it."""
    said, judged_m2 = known.said, known.area_m2
    if judgement is not None:
        judged_m2 = judgement.area_m2
        said = known.said if judgement.applied else judgement.said
    if said.status == UNREVIEWED:
        return said
    if now.area_m2 > judged_m2 * (1 + rules.grown):
        grown = now.area_m2 / judged_m2 - 1
        return Verdict(verdict=f"grown by {grown:.0%} since it was {_in_words(said)}, at {judged_m2:,.0f} m2")
    if whole:
        return said
    words = f"part of {known.id}, {_in_words(said)}"
    return Verdict(status=said.status, verdict=words, verdict_reason=said.verdict_reason, reviewer=said.reviewer)


def _in_words(said: Verdict) -> str:
    """A verdict as a clause."""
    reason = f" ({said.verdict_reason})" if said.verdict_reason else ""
    by = f" by {said.reviewer}" if said.reviewer else ""
    return f"{said.status}{reason}{by}{f': {said.verdict}' if said.verdict else ''}"
