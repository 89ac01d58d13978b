"""The landslides of one layer of a scan: each once, whole, whatever blocks and zones it lies in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, reduce
from operator import add, or_

from shapely import MultiPolygon

from landslide_scale.change.rdndvi import SCALE
from landslide_scale.cube.arrays import STEPS
from landslide_scale.products.bits import Advisory, Exclusion
from landslide_scale.products.ground import advised, low_sun, rules
from landslide_scale.products.landslide import CHANGES, CONFIDENCES, WITNESSES, Landslide
from landslide_scale.products.marks import Marks
from landslide_scale.products.outlines.blocks import ZoneLayer
from landslide_scale.products.outlines.borders import grouped, in_pixels_of, on_own_ground
from landslide_scale.products.outlines.degrees import as_published, to_degrees
from landslide_scale.products.outlines.part import Part
from landslide_scale.products.outlines.smoothing import sides_of_smallest_rectangle, simplified
from landslide_scale.products.outlines.sweep import connected
from landslide_scale.products.outlines.tally import Tally, median
from landslide_scale.products.outlines.wanted import LeftOut, Wanted
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.terrain import Elevations

HIGH_PROBABILITY, HIGH_LOOKS = 0.8, 3
"""Confidence is ``high`` from this mean probability and this median of clear observations on, both closed."""

LOW_PROBABILITY, LOW_LOOKS = 0.6, 2
"""Confidence is ``low`` below either of these, open; what is neither low nor high is ``medium``. The looks are those by
which OPERA DIST-S1 tells a disturbance that was seen first, provisional (2) or confirmed (3); the probabilities say how
many of its pixels are landslide by the network's own word, and are as good as its calibration."""

_RUN_ID = 12
_EPOCH = date(1970, 1, 1)


def landslides(
    of: Scanned, layer: int, wanted: Wanted, marks: Marks | None = None, elevations: Elevations | None = None
) -> Landslides:
    """The landslides of a layer, in an order that depends on the map alone.

    Landslide is what was observed with a stored probability of at least `wanted.step`; pixels that touch by a side or a
    corner are of one. Zones come by their code, in each landslides by their last pixel in reading order; those near the
    border of two zones of the cube come after all others, by their first. What is held is a row of blocks, what it goes
    on with, and what lies near a border.

    Args:
        of: The scan.
        layer: Index of the window.
        wanted: What makes a landslide, and how small it may be.
        marks: What makes one instead, and what is said of it then; by default a probability of `wanted.step` alone.
        elevations: Of the run; without, nothing is known of elevation, slope, aspect and flat ground.
    """
    return Landslides(of, layer, wanted, marks, elevations)


class Landslides(Iterator[Landslide]):
    """Gives each landslide once.

    Attributes:
        left_out: What was smaller than the least area, so far: of the whole layer once all were given.
    """

    def __init__(
        self, of: Scanned, layer: int, wanted: Wanted, marks: Marks | None, elevations: Elevations | None
    ) -> None:
        self.left_out = LeftOut()
        self._facts = _Facts(of=of, layer=layer, learned=marks is None or marks.learned)
        self._wanted, self._marks, self._elevations = wanted, marks, elevations
        self._given = self._all()

    def __next__(self) -> Landslide:
        return next(self._given)

    def _all(self) -> Iterator[Landslide]:
        of, held = self._facts.of, list[Part]()
        for lattice in sorted(of.extents, key=lambda one: one.zone):
            zone = ZoneLayer(
                of=of,
                lattice=lattice,
                layer=self._facts.layer,
                step=self._wanted.step,
                marks=self._marks,
                elevations=self._elevations,
            )
            for component in connected(zone.rows(), of.extents[lattice]):
                part = Part.of(lattice, component)
                if len(of.extents) > 1 and part.near_border:
                    held.append(part)
                elif self._is_wanted((part,)):
                    yield self._facts.measured((part,), to_degrees(simplified(part.outline), lattice))
        for group in grouped(held):
            if self._is_wanted(group):
                yield self._facts.measured(group, on_own_ground(group))

    def _is_wanted(self, group: Sequence[Part]) -> bool:
        pixels, area = sum(part.tally.pixels for part in group), sum(part.nominal_m2 for part in group)
        if area < self._wanted.least_area_m2:
            self.left_out = self.left_out.and_one(pixels, area)
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is known of all landslides of a layer.

    Attributes:
        of: The scan.
        layer: Index of the window.
        learned: Whether a network is a witness of them.
    """

    of: Scanned
    layer: int
    learned: bool

    @cached_property
    def low_sun(self) -> frozenset[str]:
        """Ids of scenes that say of themselves that the sun stood low."""
        return low_sun(self.of)

    def measured(self, group: Sequence[Part], geometry: MultiPolygon) -> Landslide:
        """A landslide of one or more parts, with its simplified outline (degrees, in one piece)."""
        lattice, tally = group[0].lattice, reduce(add, [part.tally for part in group])
        exact = MultiPolygon([one for part in group for one in in_pixels_of(lattice, part).geoms])
        length, width = sides_of_smallest_rectangle(exact)
        scenes = rules(self.of, tally.units)
        looks = tally.median_looks
        probability = tally.steps / STEPS / tally.pixels if self.learned else None
        change, witnesses = _changed(tally, learned=self.learned)
        return Landslide(
            id=group[0].id,
            window=self.of.windows[self.layer].days,
            geometry=as_published(geometry),
            pixels=tally.pixels,
            area_m2=sum(part.area_m2 for part in group),
            length_m=length * lattice.resolution,
            width_m=width * lattice.resolution,
            prob_mean=probability,
            prob_max=tally.highest / STEPS if self.learned else None,
            confidence=_joined_confidence(probability, looks, change, witnesses),
            looks=looks,
            change=change,
            rdndvi=_rdndvi(tally),
            witnesses=witnesses,
            date_min=_last_clear_day_before(tally),
            date_max=_day(tally.newest),
            elevation_m=tally.relief.elevation_m,
            slope_deg=tally.relief.slope_deg,
            aspect_deg=tally.relief.aspect_deg,
            exclusion=int(_excluded(tally)),
            advisory=int(_advised(tally, scenes, self.low_sun)),
            scene_ids=",".join(sorted(scenes)),
            model_sha256=str(self.of.facts["settings"]["checkpoint_sha256"]) if self.learned else "",
            run_id=self.of.cube_sha256[:_RUN_ID],
        )


def confidence(probability: float | None, looks: int) -> str:
    """How sure the map is of a landslide, by mean probability and median looks; one of `CONFIDENCES`.

    Of a candidate, which has no probability (None), by its looks alone, and never ``high``.
    """
    low, medium, high = CONFIDENCES
    if probability is None:
        return low if looks < LOW_LOOKS else medium
    if probability < LOW_PROBABILITY or looks < LOW_LOOKS:
        return low
    return high if probability >= HIGH_PROBABILITY and looks >= HIGH_LOOKS else medium


def _joined_confidence(probability: float | None, looks: int, change: str | None, witnesses: str | None) -> str:
    """:func:`confidence`, by what both witnesses say where two layers are compared.

    Low where a network alone says that it is new: on the demo's world few of these were. Where both say so it is not
    low by its probability, whose mean is over the ground too that the network did not see and plants tell of.
    """
    network, both, _ = WITNESSES
    if change == CHANGES[0] and witnesses == network:
        return CONFIDENCES[0]
    if witnesses == both and probability is not None:
        probability = max(probability, LOW_PROBABILITY)
    return confidence(probability, looks)


def _excluded(tally: Tally) -> Exclusion:
    told = {
        Exclusion.SNOW_NEAR: tally.snow_near,
        Exclusion.WATER: 2 * tally.water >= tally.pixels,
        Exclusion.FLAT: tally.relief.is_flat(tally.pixels),
    }
    return reduce(or_, [bit for bit, holds in told.items() if holds], Exclusion(0))


def _advised(tally: Tally, scenes: dict[str, str], low_sun: frozenset[str]) -> Advisory:
    told = {
        Advisory.ONE_LOOK: tally.median_looks <= 1,
        Advisory.DATES_DISAGREE: any(2 * gone >= tally.pixels for gone in tally.after),
    }
    return reduce(or_, [bit for bit, holds in told.items() if holds], advised(scenes, low_sun))


def _changed(tally: Tally, *, learned: bool) -> tuple[str | None, str | None]:
    """One of `CHANGES` and one of `WITNESSES`; None where nothing was asked of the time before."""
    if tally.change is None:
        return None, None
    new, only_after, candidate = CHANGES
    network, both, vegetation = WITNESSES
    if not learned:
        return candidate, vegetation
    return (
        new if 2 * tally.change.both >= tally.pixels else only_after,
        both if 2 * tally.change.lost >= tally.pixels else network,
    )


def _rdndvi(tally: Tally) -> float | None:
    if tally.change is None or not tally.change.rdndvi:
        return None
    return round(median(tally.change.rdndvi) * SCALE, 2)


def _last_clear_day_before(tally: Tally) -> date | None:
    """Of the latest earlier window in which all of it was seen and none was landslide; the oldest day of its pixels."""
    return next((day for day in map(_day, tally.before) if day is not None), None)


def _day(number: int) -> date | None:
    return None if number < 0 else _EPOCH + timedelta(days=number)
