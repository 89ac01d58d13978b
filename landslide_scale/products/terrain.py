"""What a run's own elevation model says of its ground, read as its scan read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.errors import AwayError, InvalidInputError, ReadError
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery import terrain as imagery
from landslide_scale.products.scanned import Scanned
from landslide_scale.scan.settings import BEFORE
from landslide_scale.stac.dem import DemIndex, DemTile, tiles
from landslide_scale.stac.frozen import DEM, load_items, with_addresses
from landslide_scale.stac.settings import DemConfig, Interpolation
from landslide_scale.strictyaml import parse

MOST_UNREAD = 5
"""Once so many tiles cannot be read, no other is asked for: their host is away, and each is waited for."""

_BANDS = ("elevation", "slope", "aspect")
_PLACES = ("url", "items", "allowed_hosts", "allowed_roots", "buckets", "signer")
"""Keys of `DemConfig` that a run does not record, for they say where things are and what may be read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Terrain:
    """Of a box of pixels, float32 (H, W), NaN where unknown.

    Attributes:
        elevation: Metres above the model's datum.
        slope: Degrees, 0 to 90.
        aspect: Which way it falls, degrees clockwise from the north of the grid; NaN on level ground too.
    """

    elevation: NDArray[np.float32]
    slope: NDArray[np.float32]
    aspect: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Relief:
    """The elevation model of a run.

    Attributes:
        tiles: Those that it froze.
        interpolation: Between their pixels.
    """

    tiles: tuple[DemTile, ...]
    interpolation: Interpolation

    @cached_property
    def _index(self) -> DemIndex:
        return DemIndex(self.tiles)

    def reaching(self, lattice: Lattice, box: PixelBox) -> tuple[DemTile, ...]:
        """Tiles that have a say in what :meth:`over` gives."""
        return self._index.reaching(lattice, box.pad(1))

    def over(self, lattice: Lattice, box: PixelBox) -> Terrain:
        """What the network saw of these pixels, and would have seen of others.

        Raises:
            ReadError: A tile cannot be read; the error names it.
        """
        return Terrain(**imagery.terrain(_BANDS, self.reaching(lattice, box), lattice, box, self.interpolation))


def relief(of: Scanned, places: DemConfig | None = None) -> Relief | None:
    """The elevation model that a run used; None of one without.

    Args:
        of: The run.
        places: Where it may be read from, beside what its profile says: the rest of it is the run's own.

    Raises:
        InvalidInputError: Its tiles were not kept, or lie where nothing may be read.
        AwayError: The catalogue that is to say their signed addresses does not answer.
    """
    recorded = of.facts["settings"].get("dem")
    if recorded is None:
        return None
    if not of.run.exists(DEM):
        raise InvalidInputError(f"no {DEM}", expected="the folder of a run whole", run=of.run)
    told = {} if places is None else places.model_dump(include=set(_PLACES))
    config = parse(DemConfig, {**_as_begun(recorded), **told})
    found = tiles(with_addresses(load_items(of.run, DEM), config), config)
    return Relief(tiles=tuple(found), interpolation=config.interpolation)


def terrain(of: Scanned, lattice: Lattice, box: PixelBox) -> Terrain | None:
    """Elevation, slope and aspect of a box of pixels by the run's own elevation model; None of a run without one.

    Raises:
        InvalidInputError, AwayError: As :func:`relief`.
        ReadError: A tile cannot be read; the error names it.
    """
    found = relief(of)
    return None if found is None else found.over(lattice, box)


class Elevations:
    """A run's elevation model as far as it can still be read; what cannot is unknown, and noted.

    Attributes:
        unread: Why, of each tile that could not be read.

    Args:
        of: The run.
        places: As for :func:`relief`.
    """

    def __init__(self, of: Scanned, places: DemConfig | None = None) -> None:
        self.unread: dict[str, str] = {}
        self._refused, self._relief = "", None
        try:
            self._relief = relief(of, places)
        except (InvalidInputError, AwayError) as error:
            self._refused = str(error)

    @property
    def wanted(self) -> bool:
        """Whether the run used an elevation model."""
        return self._relief is not None or bool(self._refused)

    @property
    def lacking(self) -> str:
        """What is not known for want of elevations, in one line; empty where nothing is."""
        if self._refused:
            return f"elevation, slope and flat ground are not known: {self._refused}"
        if not self.unread:
            return ""
        first = next(iter(self.unread.values()))
        more = ", and no other was asked for" if len(self.unread) >= MOST_UNREAD else ""
        return (
            f"elevation, slope and flat ground are not known of all landslides: {len(self.unread)} tiles of the "
            f"elevation model cannot be read{more}; the first: {first}"
        )

    def over(self, lattice: Lattice, box: PixelBox) -> Terrain | None:
        """As :meth:`Relief.over`; None where it cannot be read, or a tile that could not be has a say."""
        if self._relief is None or len(self.unread) >= MOST_UNREAD:
            return None
        if not self.unread.keys().isdisjoint(tile.id for tile in self._relief.reaching(lattice, box)):
            return None
        try:
            return self._relief.over(lattice, box)
        except ReadError as error:
            self.unread[error.where["dem"]] = str(error)
            return None


def _as_begun(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """With what stands for keys that runs were begun without."""
    return {key: before for (section, key), before in BEFORE.items() if section == "dem"} | dict(recorded)
