"""A scan as products are made of it: what its folder alone tells, and its cube read box by box."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube import arrays
from landslide_scale.cube.arrays import Layer, Slot, Variable
from landslide_scale.cube.ledger import Ledger
from landslide_scale.cube.record import Record
from landslide_scale.cube.reflectance import unpacked, variables
from landslide_scale.cube.template import attributes
from landslide_scale.errors import InvalidInputError
from landslide_scale.grid import Block, Lattice, PixelBox
from landslide_scale.scan import layout
from landslide_scale.scan.layout import CUBE, Layout
from landslide_scale.scan.plan import Place
from landslide_scale.scene import Window
from landslide_scale.storage.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """A scan that has at least begun.

    Attributes:
        laid: Its units.
        records: What became of them, by id.
        facts: What its run.json says.
        said: What its cube says of itself: checkpoint, threshold, calibration.
    """

    laid: Layout
    records: Mapping[str, Record]
    facts: Mapping[str, Any]
    said: Mapping[str, Any]

    @property
    def run(self) -> RunDirectory:
        """Its folder."""
        return self.laid.run

    @property
    def windows(self) -> tuple[Window, ...]:
        """The layers, in order."""
        return self.laid.windows

    @property
    def extents(self) -> Mapping[Lattice, PixelBox]:
        """What each zone's group of the cube covers."""
        return self.laid.extents

    @property
    def learned(self) -> bool:
        """Whether a network looked at it; else its cube holds composites, and no probability anywhere."""
        return "threshold" in self.said

    @property
    def threshold(self) -> float:
        """Probability from which a stored pixel is landslide, in (0, 1); of a scan with a network."""
        return float(self.said["threshold"])

    @property
    def checkpoint_threshold(self) -> float:
        """What it was on the checkpoint's card; cubes of before have that one alone."""
        return float(self.said.get("checkpoint_threshold", self.said["threshold"]))

    @cached_property
    def done(self) -> tuple[Place, ...]:
        """Units that the cube holds, in the order of the plan."""
        return tuple(place for place in self.laid.places if self._is_done(place))

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Units that failed or were not come to."""
        return tuple(place.id for place in self.laid.places if not self._is_done(place))

    @property
    def pixels(self) -> int:
        """How many of all layers its zones' groups cover."""
        return len(self.windows) * sum(box.shape[0] * box.shape[1] for box in self.extents.values())

    @cached_property
    def cube_sha256(self) -> str:
        """Of what the ledger says is stored: another cube, or one that was gone on with, has another."""
        stored = {place.id: self.records[place.id].sha256 for place in self.done}
        return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()

    @cached_property
    def region(self) -> BaseGeometry:
        """Ground that was asked for, degrees; of a run that did not keep it, the outlines of its blocks."""
        if (asked := layout.load_region(self.run)) is not None:
            return asked
        blocks = {(place.lattice, place.block): place for place in self.laid.places}
        return shapely.union_all([one.lattice.zone.clip(one.lattice.outline(one.box)) for one in blocks.values()])

    def read(self, lattice: Lattice, box: PixelBox, layer: int) -> Layer:
        """Any pixels of a zone's group, arrays (H, W); fill where no unit is done, whatever one left there.

        Args:
            lattice: Of the zone.
            box: Inside what the group covers; it may cross blocks.
            layer: Index of the window.

        Raises:
            BrokenRunError: The storage refuses, or what it holds is damaged so that it cannot be decoded.
            StorageAwayError: It was away for longer than one is patient.
        """
        held: dict[str, Any] = {name: self.read_one(lattice, box, layer, name) for name in arrays.BY_NAME}
        return Layer(**held)

    def read_one(self, lattice: Lattice, box: PixelBox, layer: int, name: str) -> NDArray[Any]:
        """The same of one variable, or of a band that the run keeps, as it is stored."""
        values = np.full(box.shape, self.variables[name].fill, self.variables[name].dtype)
        for part in self._held(lattice, box, layer):
            slot = Slot(cube=self.run.at(CUBE), lattice=lattice, extent=self.extents[lattice], box=part, layer=layer)
            values[part.within(box)] = arrays.read_stored(slot, name)
        return values

    def read_reflectance(
        self, lattice: Lattice, box: PixelBox, layer: int, bands: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """The bands that the run keeps of its composite, as the network was shown them, by name; none of most runs.

        Args:
            lattice: Of the zone.
            box: Inside what the group covers; it may cross blocks.
            layer: Index of the window.
            bands: Of those, some; by default all, in the order of ``output.keep``.

        Returns:
            Surface reflectance (H, W) in that order, NaN where a pixel was not observed.
        """
        wanted = self.laid.bands if bands is None else bands
        return unpacked({band: self.read_one(lattice, box, layer, band) for band in wanted})

    @cached_property
    def variables(self) -> Mapping[str, Variable]:
        """The cube's, by name: the bands that the run keeps are the last."""
        return {**arrays.BY_NAME, **{one.name: one for one in variables(self.laid.bands)}}

    def _held(self, lattice: Lattice, box: PixelBox, layer: int) -> list[PixelBox]:
        """The boxes that make up what of `box` lies in units that are done: all of it in one where it does."""
        side = lattice.block
        rows = range(box.row_start // side, -(-box.row_stop // side))
        cols = range(box.col_start // side, -(-box.col_stop // side))
        blocks = [Block(row=row, col=col) for row in rows for col in cols]
        held = [block for block in blocks if (lattice, block, layer) in self._places_done]
        if len(held) == len(blocks):
            return [box]
        return [part for block in held if (part := lattice.box(block).intersection(box)) is not None]

    @cached_property
    def _places_done(self) -> frozenset[tuple[Lattice, Block, int]]:
        return frozenset((place.lattice, place.block, place.layer) for place in self.done)

    def _is_done(self, place: Place) -> bool:
        record = self.records.get(place.id)
        return record is not None and record.done


def scanned(run: RunDirectory) -> Scanned:
    """What there is of a scan.

    Raises:
        InvalidInputError: The folder holds no scan, no cube, or no ledger, or nothing of the scan is done yet.
    """
    laid, facts = layout.load(run), run.facts()
    found = Scanned(laid=laid, records=Ledger(run).records(), facts=facts, said=attributes(run.at(CUBE)))
    if not found.records:
        raise InvalidInputError(
            "a cube without a ledger, or of a scan that came to no unit",
            expected="records of its units in ledger/",
            cure="Copy the folder of a run whole; scan --resume goes on with one that was stopped.",
            run=run,
        )
    if not found.done:
        raise InvalidInputError(
            "a scan of which no unit is done", expected="at least one", cure="Go on with it by scan --resume.", run=run
        )
    return found
