"""What rasters and pictures show of two layers: a number for each pixel, what it means, and its colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from landslide_scale.change import rdndvi
from landslide_scale.change.classes import NO_DATA, ChangeClass
from landslide_scale.change.ripening import RULE, Status
from landslide_scale.cube.arrays import BY_NAME, Variable
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.products.change.compared import Compared, Pixels
from landslide_scale.products.classes import Colour, Shown
from landslide_scale.products.flags import flags
from landslide_scale.products.plane import Plane, Read, Stop

CHANGE, RDNDVI, STATUS, LOOKS, FIRST_DAY, LAST_DAY = (
    "change", "rdndvi", "status", "looks", "first_day", "last_day",
)  # fmt: skip

CLASSES: Mapping[int, Shown] = {
    ChangeClass.NONE: Shown((238, 238, 238), "no landslide before or after"),
    ChangeClass.AFTER_ONLY_NONE: Shown((190, 190, 190), "no landslide; seen only after"),
    ChangeClass.NOT_COMPARABLE: Shown((204, 121, 167), "seen after; vegetation cannot be compared"),
    ChangeClass.NOT_OBSERVED: Shown((86, 180, 233), "not observed after"),
    ChangeClass.NO_MORE: Shown((0, 158, 115), "landslide before, and none after"),
    ChangeClass.ALREADY: Shown((0, 114, 178), "landslide before already"),
    ChangeClass.NETWORK_ALONE: Shown(
        (148, 103, 62), "the network alone, and not sure or plants still stand: no polygon"
    ),
    ChangeClass.CANDIDATE: Shown((240, 228, 66), "candidate: vegetation lost; no network looked at it"),
    ChangeClass.AFTER_ONLY_LANDSLIDE: Shown((230, 159, 0), "landslide; seen only after"),
    ChangeClass.NEW_LANDSLIDE: Shown((213, 94, 0), "new landslide"),
}
"""In the colours of Okabe and Ito (Color Universal Design, 2008), and greys."""

STATUSES: Mapping[int, Shown] = {
    Status.NONE: Shown((238, 238, 238), "none"),
    Status.FIRST_LOW: Shown((189, 215, 231), "first, low"),
    Status.PROVISIONAL_LOW: Shown((107, 174, 214), "provisional, low"),
    Status.CONFIRMED_LOW: Shown((33, 113, 181), "confirmed, low"),
    Status.FIRST_HIGH: Shown((254, 204, 92), "first, high"),
    Status.PROVISIONAL_HIGH: Shown((253, 141, 60), "provisional, high"),
    Status.CONFIRMED_HIGH: Shown((189, 0, 38), "confirmed, high"),
    Status.CONFIRMED_LOW_FINISHED: Shown((8, 48, 107), "confirmed, low; finished"),
    Status.CONFIRMED_HIGH_FINISHED: Shown((90, 0, 20), "confirmed, high; finished"),
}
"""Low in ColorBrewer's Blues, high in its YlOrRd: told apart by colour-blind readers, and darker with every look."""

_LOSS: tuple[Colour, ...] = ((166, 97, 26), (223, 194, 125), (245, 245, 245), (128, 205, 193), (1, 133, 113))
"""ColorBrewer's BrBG in five classes, which it lists as safe for colour-blind readers."""

_BLUES: tuple[Colour, ...] = ((239, 243, 255), (189, 215, 231), (107, 174, 214), (49, 130, 189), (8, 81, 156))
_MANY_LOOKS = 10
_EPOCH = date(1970, 1, 1)


def planes(compared: Compared) -> tuple[Plane, ...]:
    """Everything that is shown of two layers, in order; without rdNDVI where the cube has not the bands for it."""
    made = _Planes(compared)
    found = [made.change, made.status, made.looks, made.first_day, made.last_day, *made.flags]
    return (*found[:1], made.rdndvi, *found[1:]) if compared.has_vegetation else tuple(found)


def earliest(plane: Plane, held: Read) -> Plane:
    """The same with the earlier of its own day and of that which `held` gives, `NEVER` where it knows of none."""

    def read(lattice: Lattice, box: PixelBox) -> NDArray[Any]:
        return np.minimum(plane.read(lattice, box), held(lattice, box))  # never is after every day

    return replace(plane, read=read)


@dataclass(frozen=True)
class _Planes:
    compared: Compared

    @property
    def change(self) -> Plane:
        """Classes."""
        words = {"long_name": "change between two layers"} | _meanings(ChangeClass)
        variable = Variable(name=CHANGE, dtype="uint8", fill=NO_DATA, attributes=words)
        return self._plane(variable, lambda known: known.classes, classes=CLASSES)

    @property
    def rdndvi(self) -> Plane:
        """Steps of it."""
        most = rdndvi.MOST * rdndvi.SCALE
        words = {
            "long_name": "relative change of NDVI (rdNDVI; Scheip and Wegmann 2021)",
            "scale_factor": rdndvi.SCALE,
            "_FillValue": rdndvi.FILL,
            "units": "percent",
            "valid_range": [-rdndvi.MOST, rdndvi.MOST],
            "comment": f"{-most:g} is that or less, {most:g} is that or more; none where either side was not observed",
        }
        loss = self.compared.how.loss
        values = (-2 * loss, -loss, 0.0, loss, 2 * loss)
        labels = (f"{-2 * loss:g} and less", f"{-loss:g}: a loss", "0", f"{loss:g}", f"{2 * loss:g} and more")
        stops = tuple(map(Stop, values, _LOSS, labels))
        variable = Variable(name=RDNDVI, dtype="int16", fill=rdndvi.FILL, attributes=words)
        return self._plane(variable, lambda known: known.rdndvi, stops=stops, coarser="smallest")

    @property
    def status(self) -> Plane:
        """Status codes."""
        words = {"long_name": "status of the change, as OPERA DIST-S1 codes it", "comment": RULE} | _meanings(Status)
        variable = Variable(name=STATUS, dtype="uint8", fill=NO_DATA, attributes=words)
        return self._plane(variable, self.compared.status, classes=STATUSES)

    @property
    def looks(self) -> Plane:
        """As the cube has them."""
        words = dict(BY_NAME["clear_count"].attributes) | {"long_name": "clear observations after the event"}
        values = [1 + round((_MANY_LOOKS - 1) * place / (len(_BLUES) - 1)) for place in range(len(_BLUES))]
        stops = tuple(Stop(value, colour, f"{value}") for value, colour in zip(values, _BLUES, strict=True))
        variable = replace(BY_NAME["clear_count"], name=LOOKS, attributes=words)
        return self._plane(variable, lambda known: known.after.clear_count, stops=stops)

    @property
    def first_day(self) -> Plane:
        """Of this version; with those before it by :func:`earliest`."""
        words = {"long_name": "first day seen clear after the event, as far as versions of this map tell"}
        return self._days(FIRST_DAY, words, "smallest")

    @property
    def last_day(self) -> Plane:
        """As the cube has it."""
        return self._days(LAST_DAY, {"long_name": "last day seen clear after the event"}, "largest")

    @property
    def flags(self) -> tuple[Plane, ...]:
        """Of the layer after, with what was asked of both."""
        return tuple(replace(one, said=self._said) for one in flags(self.compared.of, self.compared.how.after))

    def _days(self, name: str, words: Mapping[str, Any], coarser: Literal["largest", "smallest"]) -> Plane:
        known = dict(BY_NAME["observed_on"].attributes) | dict(words)
        window = self.compared.of.windows[self.compared.how.after]
        first, days = window.start.date(), (window.until - window.start).days
        dates = [first + timedelta(days=round(days * place / (len(_BLUES) - 1))) for place in range(len(_BLUES))]
        stops = tuple(
            Stop((day - _EPOCH).days, colour, day.isoformat()) for day, colour in zip(dates, _BLUES, strict=True)
        )
        variable = replace(BY_NAME["observed_on"], name=name, attributes=known)
        return self._plane(variable, lambda known: known.after.observed_on, stops=stops, coarser=coarser)

    def _plane(
        self,
        variable: Variable,
        of_pixels: Callable[[Pixels], NDArray[Any]],
        *,
        classes: Mapping[int, Shown] | None = None,
        stops: tuple[Stop, ...] = (),
        coarser: Literal["largest", "smallest"] = "largest",
    ) -> Plane:
        return Plane(
            variable=variable,
            layer=self.compared.how.after,
            read=lambda lattice, box: of_pixels(self.compared.pixels(lattice, box)),
            coarser=coarser,
            classes=classes or {},
            stops=stops,
            said=self._said,
        )

    @property
    def _said(self) -> dict[str, str]:
        how, of = self.compared.how, self.compared.of
        return {
            "BEFORE": of.windows[how.before].instants,
            "LOSS": f"{how.loss:g}",
            "WITNESSES": witnesses(self.compared),
            "SLOPES": slopes(self.compared),
        }


def witnesses(compared: Compared) -> str:
    """What is asked of the two layers, in words."""
    if not compared.learned:
        return "vegetation alone: candidates, and no probability"
    return "a network and vegetation" if compared.has_vegetation else "a network; the cube keeps no bands for rdNDVI"


def slopes(compared: Compared) -> str:
    """What is asked of slopes, in words."""
    if compared.learned:
        return "not asked"
    if compared.terrain is None:
        return "not asked: the run has no elevation model"
    return f"candidates lie on {compared.how.least_slope_deg:g} degrees or more"


def _meanings(codes: type[IntEnum]) -> dict[str, Any]:
    return {
        "flag_values": [int(code) for code in codes],
        "flag_meanings": " ".join(code.name.lower() for code in codes),
        "_FillValue": NO_DATA,
    }
