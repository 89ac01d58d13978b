"""Which blocks, of which layers, from which scenes: the whole of a run before anything is read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from pydantic import TypeAdapter
from shapely.geometry.base import BaseGeometry

from landslide_scale.bands import scene_bands
from landslide_scale.costs.took import Work
from landslide_scale.cube.settings import GridConfig
from landslide_scale.grid import Block, Lattice, PatchLattice, PixelBox, Zone
from landslide_scale.imagery.mask import mask_bytes, reaching_pixels
from landslide_scale.imagery.observe import planned_bytes
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.region.reaching import Outlines, S, SceneIndex, rims
from landslide_scale.scene import Scene, Unused, Window, newest_processing
from landslide_scale.stac.dem import DemIndex, DemTile

PROCESS_BYTES = 400 * 2**20
"""Of a reader before it reads: Python and its libraries."""

TERRAIN_BYTES_PER_PIXEL = 160
"""Of positions, weights and elevations while a block's elevation is read."""

KEPT_BYTES_PER_PIXEL = 2
"""Of a band of the composite as the cube keeps it."""

PACKING_BYTES_PER_PIXEL = 12
"""Of one band while it is brought to these."""

_BLOCKS_AT_ONCE = 4096
"""Whose scenes are looked for together: one by one, each library call costs more than what it does."""

METRES_AROUND_REGION = 25_000
"""How far outside the region scenes are looked for, beside what a block reads: catalogue footprints are coarse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One block of one layer.

    Attributes:
        lattice, block: Its ground.
        layer: Index of its window among the run's.
    """

    lattice: Lattice
    block: Block
    layer: int

    @property
    def id(self) -> str:
        """Unique in a run, and usable as a file name."""
        return f"{self.lattice.zone.group}-t{self.layer}-r{self.block.row}-c{self.block.col}"

    @property
    def box(self) -> PixelBox:
        """Its pixels."""
        return self.lattice.box(self.block)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkUnit(Place):
    """What one read, one prediction and one shard per variable are about.

    Attributes:
        scenes: The scenes of the window that reach what is read for it, older processings among them.
        quarantined: Those that would too, but are not used.
        dem: Tiles of the elevation model that reach what is read for it, and a pixel around that.
    """

    scenes: tuple[Scene, ...]
    quarantined: tuple[Unused, ...] = ()
    dem: tuple[DemTile, ...] = ()

    def to_json(self) -> str:
        """As text, to cross processes without pickling."""
        return _UNIT.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> WorkUnit:
        """The unit that :meth:`to_json` wrote."""
        return _UNIT.validate_json(text)


_UNIT, _SCENES, _UNUSED = TypeAdapter(WorkUnit), TypeAdapter(tuple[Scene, ...]), TypeAdapter(tuple[Unused, ...])

SPELLED_AT_ONCE = 64
"""Sequences of scenes; one is some ten kilobytes of text."""


class UnitTexts:
    """Units as :meth:`WorkUnit.to_json` writes them, in the order of a plan: most share their scenes with one before.

    A unit has some dozens of scenes, and what they say is nearly all of its text.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, str]] = {}

    def of(self, unit: WorkUnit) -> str:
        """The text of one."""
        bare = replace(unit, scenes=(), quarantined=()).to_json()
        head, tail = bare.split('"scenes":[],"quarantined":[]')
        scenes, quarantined = self._spelled(unit.scenes, _SCENES), self._spelled(unit.quarantined, _UNUSED)
        return f'{head}"scenes":{scenes},"quarantined":{quarantined}{tail}'

    def _spelled(self, scenes: tuple[S, ...], adapter: TypeAdapter[tuple[S, ...]]) -> str:
        known, text = self._known.get(id(scenes), (None, ""))
        if known is scenes:
            return text
        if len(self._known) >= SPELLED_AT_ONCE:
            self._known.clear()
        text = adapter.dump_json(scenes).decode()
        self._known[id(scenes)] = scenes, text
        return text


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All work units of a run, in the order they are worked on.

    Attributes:
        region: Ground to be scanned, degrees.
        windows: The layers.
        patches: Where the network's squares lie.
        units: Every block of every layer.
    """

    region: BaseGeometry
    windows: tuple[Window, ...]
    patches: PatchLattice
    units: tuple[WorkUnit, ...]

    @cached_property
    def extents(self) -> dict[Lattice, PixelBox]:
        """What each zone's group of the cube covers."""
        return extents(self.units)

    @cached_property
    def _rims(self) -> dict[Lattice, dict[Block, PixelBox | None]]:
        """Of each block that is not all ground, the box around that: what is read of it, and predicted."""
        blocks: dict[Lattice, dict[Block, None]] = defaultdict(dict)
        for unit in self.units:
            blocks[unit.lattice][unit.block] = None
        return {lattice: rims(lattice, some, self.region) for lattice, some in blocks.items()}

    def _shown(self, units: Iterable[WorkUnit]) -> Iterator[tuple[WorkUnit, PixelBox]]:
        """Units that have scenes and ground, and the box around that."""
        for unit in units:
            box = self._rims[unit.lattice].get(unit.block, unit.box)
            if unit.scenes and box is not None:
                yield unit, box

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """The scenes that any unit reads, by id."""
        return tuple(sorted({scene.id: scene for unit in self.units for scene in unit.scenes}.values(), key=_id))

    @cached_property
    def quarantined(self) -> tuple[Unused, ...]:
        """The scenes that units would read if they could be used, by id."""
        return tuple(sorted({scene.id: scene for unit in self.units for scene in unit.quarantined}.values(), key=_id))

    @cached_property
    def unseen(self) -> tuple[int, ...]:
        """Indexes of the windows of which no unit has a scene."""
        return _others(self.windows, (unit.layer for unit in self.units if unit.scenes))

    @cached_property
    def bare(self) -> tuple[int, ...]:
        """Those of which the catalogue has none either that is not used."""
        return _others(self.windows, (unit.layer for unit in self.units if unit.scenes or unit.quarantined))

    @cached_property
    def dem(self) -> tuple[DemTile, ...]:
        """The tiles of the elevation model that any unit reads, by id."""
        known = {tile.id: tile for unit in self.units if unit.scenes for tile in unit.dem}
        return tuple(known[name] for name in sorted(known))

    @cached_property
    def patch_count(self) -> int:
        """Patches the network will see at most; ground without data needs none."""
        return sum(self.patches.count(box) for _, box in self._shown(self.units))

    def bytes_to_read(self, bands: int, masks: int = 1) -> int:
        """Uncompressed bytes of the pixels asked for: 16 bits for each band, 8 for each of `masks`, times it is read.

        Older processings are not counted: they are read only where the newest has no data.
        """
        return sum(self._bytes_of(unit, box, bands, masks) for unit, box in self._shown(self.units))

    def work(self, bands: int, masks: int, *, predicted: bool, some: Iterable[WorkUnit] | None = None) -> Work:
        """How much work its units are; arguments are those of :meth:`bytes_to_read`.

        Args:
            bands: As there.
            masks: As there.
            predicted: Whether a network is shown them.
            some: The units to count; None for all.
        """
        units = read_bytes = patches = 0
        for unit in self.units if some is None else some:
            units += 1
            for _, box in self._shown([unit]):
                read_bytes += self._bytes_of(unit, box, bands, masks)
                patches += self.patches.count(box) if predicted else 0
        return Work(units=units, read_bytes=read_bytes, patches=patches, pixels=patches * self.patches.patch**2)

    def _bytes_of(self, unit: WorkUnit, box: PixelBox, bands: int, masks: int) -> int:
        rows, cols = self.patches.covering(box).shape
        return rows * cols * (2 * bands + masks) * len(newest_processing(unit.scenes))

    def bytes_to_keep(self, bands: int) -> int:
        """Uncompressed bytes of bands of the composite in the cube, at most: as if every pixel were observed."""
        return sum(math.prod(unit.box.shape) * KEPT_BYTES_PER_PIXEL * bands for unit in self.units if unit.scenes)

    def dem_bytes_to_read(self) -> int:
        """Uncompressed bytes of elevation at most, 32 bits a pixel: as if it were as fine as the lattice."""
        boxes = [self.patches.covering(box).pad(1) for unit, box in self._shown(self.units) if unit.dem]
        return sum(4 * box.shape[0] * box.shape[1] for box in boxes)


def reader_bytes(
    lattice: Lattice, patches: PatchLattice, composite: CompositeConfig, bands: tuple[str, ...], kept: int = 0
) -> int:
    """The most memory of a process that reads blocks of a lattice, however many scenes there are.

    Args:
        lattice: Whose blocks.
        patches: Where the network's squares lie.
        composite: How the scenes of a window become one image.
        bands: Channels of the network.
        kept: How many of them go into the cube.
    """
    box = patches.covering(lattice.box(Block(row=0, col=0))).pad(reaching_pixels(composite, lattice) + patches.stride)
    of_scenes, pixels = scene_bands(bands), math.prod(box.shape)
    terrain = 0 if of_scenes == bands else pixels * (4 * len(bands) + TERRAIN_BYTES_PER_PIXEL)
    keeping = lattice.block**2 * (KEPT_BYTES_PER_PIXEL * kept + PACKING_BYTES_PER_PIXEL * bool(kept))
    seen = planned_bytes(box, len(of_scenes), lattice.resolution, mask_bytes(composite))
    return seen + terrain + keeping + PROCESS_BYTES


def extents(places: Iterable[Place]) -> dict[Lattice, PixelBox]:
    """The smallest box of whole blocks that holds each zone's places."""
    found: dict[Lattice, PixelBox] = {}
    for place in places:
        known, box = found.get(place.lattice, place.box), place.box
        found[place.lattice] = PixelBox(
            row_start=min(known.row_start, box.row_start),
            row_stop=max(known.row_stop, box.row_stop),
            col_start=min(known.col_start, box.col_start),
            col_stop=max(known.col_stop, box.col_stop),
        )
    return found


def _id(scene: Scene | Unused) -> str:
    return scene.id


def _others(windows: Sequence[Window], layers: Iterable[int]) -> tuple[int, ...]:
    """Indexes of the windows that are not among `layers`."""
    return tuple(sorted(set(range(len(windows))) - set(layers)))


def make(
    *,
    region: BaseGeometry,
    windows: Sequence[Window],
    scenes: Iterable[Scene],
    grid: GridConfig,
    composite: CompositeConfig,
    patches: PatchLattice,
    dem: Sequence[DemTile] = (),
    unused: Sequence[Unused] = (),
) -> Plan:
    """Every block of every zone that meets the region, for every window, with the scenes and tiles that reach it.

    Older processings of a scene are there beside it, for what it has no data for, or instead of it where it is in
    quarantine or `unused`.
    """
    known = list(scenes)
    trusted = [scene for scene in known if not scene.quarantine]
    chosen = newest_processing(trusted) if composite.processings == "newest" else trusted
    indexes = _by_window(chosen, windows)
    doubted = _by_window([*(Unused.of(scene) for scene in known if scene.quarantine), *unused], windows)
    elevations = DemIndex(dem)
    units = []
    for lattice in lattices(region, grid):
        reach, blocks = reaching_pixels(composite, lattice), iter(lattice.blocks_meeting(region))
        while some := list(islice(blocks, _BLOCKS_AT_ONCE)):
            covered = [patches.covering(lattice.box(block)) for block in some]
            read = Outlines(lattice, [box.pad(reach) for box in covered])
            tiles = [elevations.reaching(lattice, box.pad(1)) for box in covered]
            used = [index.reaching(read) for index in indexes]
            left = [index.reaching(read) for index in doubted]
            units += [
                WorkUnit(
                    lattice=lattice,
                    block=block,
                    layer=layer,
                    scenes=used[layer][number],
                    quarantined=left[layer][number],
                    dem=tiles[number],
                )
                for number, block in enumerate(some)
                for layer in range(len(windows))
            ]
    return Plan(region=region, windows=tuple(windows), patches=patches, units=tuple(units))


def _by_window(scenes: Sequence[S], windows: Sequence[Window]) -> list[SceneIndex[S]]:
    return [
        SceneIndex([scene for scene in scenes if scene.sensed is None or window.holds(scene.sensed)])
        for window in windows
    ]


def lattices(region: BaseGeometry, grid: GridConfig) -> list[Lattice]:
    """The lattices of the zones that the region meets, or the one that the configuration asks for."""
    zones = (Zone.whole(grid.crs),) if grid.crs is not None else Zone.utm_meeting(region, grid.zones)
    return [Lattice(zone=zone, resolution=grid.resolution, block=grid.block) for zone in zones]
