"""The life of the made event: what appears when, and the configuration by which it is followed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from landslide_scale.demo.agency import Agency
from landslide_scale.demo.ground.relief import COLLECTION as RELIEF
from landslide_scale.demo.recipe import BANDS, HALO, PATCH
from landslide_scale.demo.world import World
from landslide_scale.scene import utc

RapidModelName = Literal["unet", "landslidenet", "none"]
LOSS, LEAST_SLOPE_DEG = 30.0, 10.0


@dataclass(frozen=True, kw_only=True)
class Moment:
    """An instant of the life, and what is there at it that was not before.

    Attributes:
        at: UTC; when a cycle looks.
        happens: In words.
        days: Whose Items appear in the catalogue, as their ids have them.
        tiles: Of these tiles alone; by default all.
        deed: What somebody does before the cycle.
    """

    at: datetime
    happens: str
    days: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    deed: Literal["", "announce", "shakemap", "verdict"] = ""


def _moment(at: str, happens: str, days: tuple[str, ...] = (), **more: Any) -> Moment:  # noqa: ANN401 fields
    return Moment(at=utc(at), happens=happens, days=days, **more)


LIFE = (
    _moment("2023-08-03T05:00:00Z", "the feed announces it", ("20230626", "20230711", "20230726"), deed="announce"),
    _moment("2023-08-03T06:00:00Z", "its ShakeMap appears", deed="shakemap"),
    _moment("2023-08-05T18:00:00Z", "pass of 5 August, a quarter under cloud", ("20230805",)),
    _moment("2023-08-15T18:00:00Z", "pass of 15 August, its eastern tile alone", ("20230815",), tiles=("34TBS",)),
    _moment("2023-08-15T19:00:00Z", "an analyst rejects a polygon", deed="verdict"),
    _moment("2023-08-15T22:00:00Z", "pass of 15 August, the rest", ("20230815",)),
    _moment("2023-08-20T18:00:00Z", "pass of 20 August", ("20230820",)),
    _moment("2023-08-30T18:00:00Z", "pass of 30 August", ("20230830",)),
    _moment("2023-09-03T00:00:00Z", "thirty days have passed: it ends"),
)
"""From the first the catalogue has what was sensed before the event. Of 15 August one tile comes before the other, as
they do: only what that tile shows is then looked at anew."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Where what an event is followed by lies.

    Attributes:
        catalogue: Folder of Items as they have appeared.
        relief: Folder of the Item of the elevation model.
        run: Folder of the run.
        checkpoint: Of the network; None without one.
    """

    catalogue: Path
    relief: Path
    run: Path
    checkpoint: Path | None


def rapid_settings(world: World, agency: Agency, of: Followed) -> dict[str, Any]:
    """The configuration of rapid mapping; of a network, that of its scans is as it was validated."""
    found: dict[str, Any] = {
        "events": {
            "url": agency.feed,
            "detail": agency.detail,
            "gates": {"least_land_km2": 5},  # the made east is small
        },
        "ends": {"days": 30},
        "catalog": {
            "items": str(of.catalogue),
            "profile": "plain",
            "collection": world.collection,
            "offset": "in_numbers",
            "allowed_roots": [str(world.directory)],
        },
        "grid": {"block": 256, "chunk": 128},
        "comparison": {"loss": LOSS, "least_slope_deg": LEAST_SLOPE_DEG},
    }
    return found | _seen_by(of)


def _seen_by(of: Followed) -> dict[str, Any]:
    """What differs without a network: slopes are asked for, of which this one was not shown any."""
    if of.checkpoint is None:
        dem = {
            "profile": "plain",
            "items": str(of.relief),
            "collection": RELIEF,
            "allowed_roots": [str(of.relief.parent)],
        }
        return {"model": "none", "dem": dem, "output": {"run": str(of.run)}}
    return {
        "model": {"checkpoint": str(of.checkpoint)},
        "predict": {"patch": PATCH, "halo": HALO},
        "compute": {"predictors": 1, "cpus_per_predictor": 1},
        "output": {"run": str(of.run), "keep": list(BANDS)},
    }
