"""What a version says in numbers, and how it differs from the one before, from the landslides of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from landslide_scale.products import names
from landslide_scale.products.heritage import Judgement
from landslide_scale.rapid.publication.landslides import REJECTED, Key, Landslide, landslides_of, of_layer
from landslide_scale.rapid.publication.verdicts import unapplied
from landslide_scale.rapid.publication.version import LANDSLIDES, Difference, Figures, folder_of, read_version
from landslide_scale.storage.rundir import RunDirectory

_M2_PER_KM2 = 1e6


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a version says of its products.

    Attributes:
        figures: In numbers.
        difference: From the version before; None of the first.
        unapplied: Ids of landslides that verdicts are about and that it has not.
    """

    figures: Figures
    difference: Difference | None = None
    unapplied: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What was looked at for a version.

    Attributes:
        layer: First day of the layer whose landslides are told, as `heritage.layer_of` tells it.
        asked_km2: Ground to be looked at.
        observed_km2: Of it, what was seen clear since the event.
        landslide_km2_range: Least and largest area of all landslides on observed ground, 5 to 95 %, where known.
        mapped: What is mapped, in words.
    """

    layer: str
    asked_km2: float
    observed_km2: float
    landslide_km2_range: tuple[float, float] | None = None
    mapped: str = LANDSLIDES


def said_of(
    folder: RunDirectory, number: int, ground: Ground, judgements: Sequence[Judgement] = (), *, share: float
) -> Said:
    """What a version says, from the landslides in its folder and in that of the version before.

    Args:
        folder: The event's.
        number: Of the version; its products are there, and the version before is finished.
        ground: What was looked at.
        judgements: As products took them.
        share: Of its area, open, by which a landslide must change to be called grown or shrunk.
    """
    target = RunDirectory(folder.at(folder_of(number)))
    earlier = read_version(folder, number - 1) if number else None
    before: Mapping[Key, Landslide] = landslides_of(RunDirectory(folder.at(earlier.folder))) if earlier else {}
    now = of_layer(landslides_of(target), ground.layer)
    counted = [one.area_m2 for one in now.values() if one.said.status != REJECTED]
    looked = target.exists(names.POLYGONS)
    seen_before = earlier.figures.observed_km2 if earlier else 0.0
    change = difference(
        of_layer(before, ground.layer),
        now,
        newly_observed_km2=max(0.0, ground.observed_km2 - seen_before),
        share=share,
    )
    return Said(
        figures=Figures(
            asked_km2=ground.asked_km2,
            observed_km2=ground.observed_km2,
            hidden_km2=max(0.0, ground.asked_km2 - ground.observed_km2),
            landslides=len(counted) if looked else None,
            landslide_km2=sum(counted) / _M2_PER_KM2 if looked else None,
            landslide_km2_range=ground.landslide_km2_range,
            mapped=ground.mapped,
        ),
        difference=change if earlier else None,
        unapplied=unapplied(judgements, before),
    )


def difference(
    earlier: Mapping[str, Landslide], now: Mapping[str, Landslide], *, newly_observed_km2: float, share: float
) -> Difference:
    """What became of the landslides of one layer.

    Args:
        earlier: By id, which is the same for the same ground.
        now: The same of the version in question.
        newly_observed_km2: Ground that was hidden then.
        share: Of its area, open, by which one must change to be called grown or shrunk.
    """
    taken = {name for one in now.values() for name in one.merged}
    known = sorted(earlier.keys() & now.keys())
    grown = [name for name in known if now[name].area_m2 > earlier[name].area_m2 * (1 + share)]
    shrunk = [name for name in known if now[name].area_m2 < earlier[name].area_m2 * (1 - share)]
    left = sorted(earlier.keys() - now.keys())
    return Difference(
        newly_observed_km2=newly_observed_km2,
        new=tuple(sorted(now.keys() - earlier.keys())),
        grown=tuple(grown),
        shrunk=tuple(shrunk),
        same=tuple(name for name in known if name not in {*grown, *shrunk}),
        merged=tuple(name for name in left if name in taken),
        gone=tuple(name for name in left if name not in taken),
    )
