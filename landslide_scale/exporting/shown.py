"""Two layers that are compared, as products say and show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from landslide_scale.change import joining
from landslide_scale.change.ripening import RULE
from landslide_scale.exporting.comparison import compared_rasters, due, still_hidden
from landslide_scale.exporting.product import Product
from landslide_scale.products.change.compared import Compared, Terrain
from landslide_scale.products.change.planes import CHANGE, RDNDVI, STATUS, planes, slopes, witnesses
from landslide_scale.products.change.settings import Change
from landslide_scale.products.outlines.wanted import Wanted
from landslide_scale.products.page.comparison import Comparison
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned
from landslide_scale.products.terrain import relief
from landslide_scale.stac.settings import DemConfig

_M2_PER_KM2 = 1e6


def slopes_of(of: Scanned, places: DemConfig | None) -> Terrain | None:
    """The slopes that candidates are asked for, by the run's own elevation model; None of a run without one.

    A run with a network asks for none.

    Raises:
        InvalidInputError, AwayError: As of :func:`relief`.
    """
    found = None if of.learned else relief(of, places)
    return None if found is None else lambda _, lattice, box: found.over(lattice, box)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Two layers that are compared.

    Attributes:
        compared: They.
        settings: What is made of them depends on.
    """

    compared: Compared
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, of: Scanned, change: Change, wanted: Wanted, terrain: Terrain | None) -> Shown:
        """Of a scan.

        Raises:
            InvalidConfigError: It has no such layers.
            InvalidInputError: They cannot be compared.
        """
        how = asdict(replace(change, earlier=None))
        joined = {"joined": joining.RULE} if of.learned else {}
        return cls(
            compared=Compared(of=of, how=change, step=wanted.step, terrain=terrain),
            settings={"change": how | {"step": wanted.step, "slopes": terrain is not None, **joined}},
        )

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        """What is shown of them as rasters."""
        return planes(self.compared)

    @property
    def products(self) -> list[Product]:
        """Their rasters, and when ground that is hidden may be seen."""
        return [*compared_rasters(self.compared, self.planes, self.settings), due(self.compared)]

    @property
    def said(self) -> dict[str, Any]:
        """What a file of polygons says of them."""
        of, how = self.compared.of, self.compared.how
        layers = {"before": of.windows[how.before].days, "after": of.windows[how.after].days}
        words = {"witnesses": witnesses(self.compared), "slopes": slopes(self.compared), "status": RULE}
        alone = {"joined": joining.RULE, "network_alone_m2": self.compared.network_alone_m2} if of.learned else {}
        return {"change": {**layers, "loss": how.loss, "finished": how.finished, **words, **alone}, **self._candidate}

    @property
    def _candidate(self) -> dict[str, str]:
        if self.compared.learned:
            return {}
        return {
            "candidate": "every polygon is a candidate of vegetation loss: no network looked at it, and nothing here "
            "is a probability"
        }

    @property
    def page(self) -> Comparison:
        """What the page says and shows of them."""
        of, how = self.compared.of, self.compared.how
        return Comparison(
            before=of.windows[how.before].days,
            after=of.windows[how.after].days,
            planes=tuple(plane for plane in self.planes if plane.name in {RDNDVI, STATUS, CHANGE}),
            hidden=still_hidden(self.compared),
            facts=(
                ("compared by", witnesses(self.compared)),
                ("loss of vegetation", f"rdNDVI of {-how.loss:g} or less"),
                ("slopes", slopes(self.compared)),
                ("low and high", RULE),
                *self._joined,
            ),
        )

    @property
    def _joined(self) -> tuple[tuple[str, str], ...]:
        """What a network and plants say together, and of how much ground there is no polygon for all that."""
        if not self.compared.learned:
            return ()
        km2 = self.compared.network_alone_m2 / _M2_PER_KM2
        alone = f"{km2:.3f} km2 that the network alone calls new: in the raster of change, and no polygons"
        return ("joined", joining.RULE), ("not reported", alone)
