"""The sections of a configuration that shape a cube and say where it goes."""

from __future__ import annotations

from pydantic import Field, model_validator

from landslide_scale.bands import BAND_NAMES
from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import InputPath, OutputPath, Section
from landslide_scale.zones import ZoneRule


class GridConfig(Section):
    """The lattice.

    Attributes:
        resolution: Side of a pixel in whole metres.
        block: Side of a block in pixels: one block and window is one work unit and one Zarr shard.
        chunk: Side of a Zarr chunk in pixels; divides `block`.
        crs: EPSG code of one lattice for the whole region; by default every UTM zone has its own.
        zones: Which ground a UTM zone owns: that whose tiles are ``published`` in it (32V, 31X to 37X), or its
            ``plain`` strip of six degrees, as in runs begun before there was a choice.
    """

    resolution: int = Field(default=10, ge=1, le=1000)
    block: int = Field(default=2048, ge=16, le=16384)
    chunk: int = Field(default=512, ge=16)
    crs: int | None = None
    zones: ZoneRule = "published"

    @model_validator(mode="after")
    def _divides(self) -> GridConfig:
        if self.block % self.chunk:
            raise InvalidConfigError(
                f"block {self.block}, chunk {self.chunk}", expected="a chunk that divides the block", key="grid.chunk"
            )
        return self

    @model_validator(mode="after")
    def _one_way(self) -> GridConfig:
        if self.crs is not None and "zones" in self.model_fields_set:
            raise InvalidConfigError(
                f"zones {self.zones} with crs {self.crs}",
                expected="one of them: a single lattice has no zones",
                key="grid.zones",
            )
        return self


class CubeConfig(Section):
    """Where the run goes, and how it is stored.

    Attributes:
        run: Folder of the run: a path or fsspec URL.
        sharded: Whether chunks are stored in shards of a block; docs/results.md says which GDAL reads what.
        keep: Bands of the composite to keep in the cube, so that the picture the network saw can be looked at
            (``[red, green, blue]``); of those that the checkpoint reads from scenes.
        base: Folder of an earlier scan of the same settings, complete or not: what of it is made of the same scenes on
            the same ground is copied, and not scanned again. The result is the same without it.
    """

    run: OutputPath
    sharded: bool = True
    keep: tuple[str, ...] = ()
    base: InputPath | None = None

    @model_validator(mode="after")
    def _each_once(self) -> CubeConfig:
        if wrong := sorted({band for band in self.keep if band not in BAND_NAMES or self.keep.count(band) > 1}):
            raise InvalidConfigError(
                f"bands {', '.join(wrong)}", expected=f"each once, of {', '.join(BAND_NAMES)}", key="output.keep"
            )
        return self

    def side(self, grid: GridConfig) -> int:
        """Of the ground that one stored object holds, in pixels."""
        return grid.block if self.sharded else grid.chunk
