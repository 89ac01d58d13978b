"""How long a version took to come, by stage, and what that says of other ground; kept beside versions, never in one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from landslide_scale.products import names
from landslide_scale.rapid.publication.version import FORMAT, not_ours, of_format
from landslide_scale.runtime.progress import duration
from landslide_scale.storage.rundir import RunDirectory

PACE = "seconds.json"
"""In an event's folder: of the cycle that published its newest version. No hash speaks of it."""

BEFORE, DETAIL, GROUND, CATALOGUE = "before its turn", "detail", "ground", "catalogue"
FIRST, SCAN, SEEN, PUBLICATION = "first version", "scan", "figures", "publication"
"""Stages of a cycle; between the last two lie those of :func:`stage_of_product`."""

RASTERS, COMPARED, POLYGONS, REPORT = "rasters", "change", "polygons", "report"

_COMPARED = {"change", "rdndvi", "status", "looks", "first_day", "last_day", "exclusion", "advisory"}
"""Names of the rasters that two layers are compared in."""

_OF_GROUND = {SEEN, RASTERS, COMPARED, POLYGONS, REPORT, PUBLICATION}
_LAYERS = 2
_TOLD_S = 0.05
"""Shorter stages are not told one by one."""

TEN_THOUSAND_KM2 = 10_000.0


@dataclass(frozen=True, kw_only=True)
class Took:
    """How long the cycle took that made a version public.

    Attributes:
        version: Its number.
        at: The instant that the cycle went by, aware UTC.
        seconds: By stage, in their order; the first begins with the cycle, so that what appeared in the catalogue just
            before was visible after all of them.
        ground_km2: Ground that was looked at.
        scanned_km2: Ground of each layer that was scanned anew, added up; what was taken over is not in it.
    """

    version: int
    at: datetime
    seconds: Mapping[str, float]
    ground_km2: float
    scanned_km2: float

    @property
    def whole(self) -> float:
        """All seconds."""
        return sum(self.seconds.values())

    def over(self, km2: float) -> dict[str, float] | None:
        """Seconds by stage of other ground, both layers of it scanned anew, on the same machines.

        The scan goes by what was scanned, products by the ground; what is asked of services takes what it took. None
        where nothing was scanned, and so no rate is known.

        Args:
            km2: Of the ground.
        """
        if self.scanned_km2 <= 0 or self.ground_km2 <= 0:
            return None
        times = dict.fromkeys(_OF_GROUND, km2 / self.ground_km2) | {SCAN: _LAYERS * km2 / self.scanned_km2}
        return {stage: seconds * times.get(stage, 1.0) for stage, seconds in self.seconds.items() if stage != BEFORE}


class Pace:
    """Seconds of one cycle by stage, as they pass.

    Args:
        began: When the cycle did, by `clock`.
        clock: Seconds that never go back.

    Attributes:
        scanned_km2: As :class:`Took` has it; whoever scans sets it.
    """

    def __init__(self, began: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock() if began is None else began
        self._stage = BEFORE
        self._seconds: dict[str, float] = {}
        self.scanned_km2 = 0.0

    def begin(self, stage: str) -> None:
        """End the stage that goes on, and begin another; one that was there before is gone on with."""
        now = self._clock()
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def took(self, version: int, at: datetime, ground_km2: float) -> Took:
        """What it came to by now."""
        self.begin(self._stage)
        seconds = {stage: round(one, 3) for stage, one in self._seconds.items()}
        return Took(version=version, at=at, seconds=seconds, ground_km2=ground_km2, scanned_km2=self.scanned_km2)


def stage_of_product(name: str) -> str:
    """The stage that a product is made in, by its name; empty, that of what follows all of them."""
    if not name:
        return PUBLICATION
    if name.startswith("cog/"):
        return COMPARED if name.rpartition("/")[2].removesuffix(".tif") in _COMPARED else RASTERS
    return POLYGONS if name in {names.POLYGONS, names.GEOPACKAGE, names.GEOJSON} else REPORT


def keep_pace(folder: RunDirectory, took: Took) -> None:
    """Write down how long a version took.

    Args:
        folder: The event's; nobody else works there.
        took: Of its newest version.
    """
    folder.write_json(PACE, {"format": FORMAT, **asdict(took), "at": took.at.isoformat()})


def read_pace(folder: RunDirectory) -> Took | None:
    """How long the newest version took; None where that is not known: who published it may have been killed.

    Args:
        folder: The event's.

    Raises:
        RunConflictError: The file is something else.
    """
    if not folder.exists(PACE):
        return None
    try:
        said = of_format(folder.read(PACE), FORMAT)
        seconds = {str(stage): float(one) for stage, one in said["seconds"].items()}
        return Took(**said | {"at": datetime.fromisoformat(said["at"]), "seconds": seconds})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_ours(folder, PACE, error, cure="Delete it: the next version writes it.") from error


def pace_lines(took: Took) -> list[str]:
    """How long a version took, by stage, and what 10,000 km2 would by that; for a person."""
    whole = f"version {took.version} took {took.whole:.1f} s from the begin of its cycle"
    lines = [f"{whole}: {_by_stage(took.seconds)}"]
    other = took.over(TEN_THOUSAND_KM2)
    if other is not None:
        of = f"{took.scanned_km2:,.1f} km2 scanned anew, {took.ground_km2:,.1f} km2 of products"
        told = ", ".join(f"{stage} {duration(one)}" for stage, one in other.items() if one >= 1)
        lines.append(f"10,000 km2 would take {duration(sum(other.values()))} at its rates ({of}): {told}")
    return lines


def _by_stage(seconds: Mapping[str, float]) -> str:
    told = [f"{stage} {one:.1f}" for stage, one in seconds.items() if one >= _TOLD_S]
    return ", ".join(told) or "no stage of a tenth of a second"
