"""How the ground shook, by the best of what a ShakeMap offers: its grid, its coverage, its contours, in this order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from shapely.geometry.base import BaseGeometry

from landslide_scale.errors import InvalidFeedError
from landslide_scale.events.area import Area, AreaSource, area_of
from landslide_scale.events.contours import parse_contours
from landslide_scale.events.detail import Product
from landslide_scale.events.feed import failures_named
from landslide_scale.events.land import Land
from landslide_scale.events.shakemap import parse_coverage, parse_grid_xml
from landslide_scale.reading.asking import fetched
from landslide_scale.scene import Access

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 2**20
"""Of one file of a ShakeMap; a grid of a million nodes has 60 MB."""


class Shaken(Protocol):
    """Shaking, in whatever form."""

    @property
    def max_mmi(self) -> float:
        """The strongest, Modified Mercalli intensity."""

    def max_mmi_on(self, land: Land) -> float:
        """The strongest of land; 0 where there is none."""

    def ground(self, least_mmi: float) -> BaseGeometry:
        """Ground (degrees) shaken so or more."""


_FORMS: tuple[tuple[AreaSource, str, Callable[[bytes], Shaken]], ...] = (
    ("shakemap grid", "grid.xml", parse_grid_xml),
    ("shakemap coverage", "coverage_mmi_high_res.covjson", parse_coverage),
    ("shakemap coverage", "coverage_mmi_medium_res.covjson", parse_coverage),
    ("shakemap contours", "cont_mmi.json", parse_contours),
    ("shakemap contours", "cont_mi.json", parse_contours),
)
"""Source, name of the file, and what reads it; the best first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shaking:
    """What a ShakeMap says of an event.

    Attributes:
        version: Which ShakeMap, as ``us 3``.
        least_mmi: Of the ground in `area`.
        max_mmi: The strongest shaking, over sea too.
        max_mmi_on_land: The strongest over land; 0 where there is no land.
        area: Ground shaken by `least_mmi` or more; empty where none was.
    """

    version: str
    least_mmi: float
    max_mmi: float
    max_mmi_on_land: float
    area: Area


def read_shaking(product: Product, access: Access, *, least_mmi: float, land: Land) -> Shaking:
    """How the ground shook by a ShakeMap.

    A file that cannot be made sense of is told in the log, and the next best is read.

    Args:
        product: The ShakeMap.
        access: Which hosts may be asked.
        least_mmi: Of the ground that is looked at.
        land: What says what is land.

    Raises:
        FeedAwayError: A file that it names cannot be had now.
        InvalidFeedError: No file of it says how the ground shook.
    """
    problems: list[str] = []
    for source, name, address, parse in _offered(product):
        try:
            with failures_named(address):
                content = fetched(address, access, most_bytes=MOST_BYTES)
            return shaking_of(parse(content), source=source, version=product.version, least_mmi=least_mmi, land=land)
        except InvalidFeedError as error:
            log.warning("%s of ShakeMap %s is not used: %s", name, product.version, error)
            problems.append(f"{name}: {error.found}")
    raise InvalidFeedError(
        "; ".join(problems) or "no file with intensities",
        expected=f"one of {', '.join(name for _, name, _ in _FORMS)}",
        shakemap=product.version,
    )


def _offered(product: Product) -> Iterator[tuple[AreaSource, str, str, Callable[[bytes], Shaken]]]:
    for source, name, parse in _FORMS:
        if (address := product.address(name)) is not None:
            yield source, name, address, parse


def shaking_of(shaken: Shaken, *, source: AreaSource, version: str, least_mmi: float, land: Land) -> Shaking:
    """The figures of some shaking.

    Raises:
        InvalidFeedError: It does not tell its ground.
    """
    area = area_of(shaken.ground(least_mmi), source=source, land=land, shakemap_version=version)
    return Shaking(
        version=version,
        least_mmi=least_mmi,
        max_mmi=shaken.max_mmi,
        max_mmi_on_land=shaken.max_mmi_on(land),
        area=area,
    )
