"""The sections of a configuration that shape a cube and say where it goes."""

from __future__ import annotations

from pydantic import Field, model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import Section


class GridConfig(Section):
    """The lattice.

    Attributes:
        resolution: Side of a pixel in whole metres.
        block: Side of a block in pixels: one block and window is one work unit and one Zarr shard.
        chunk: Side of a Zarr chunk in pixels; divides `block`.
        crs: EPSG code of one lattice for the whole region; by default every UTM zone has its own.
    """

    resolution: int = Field(default=10, ge=1, le=1000)
    block: int = Field(default=2048, ge=16, le=16384)
    chunk: int = Field(default=512, ge=16)
    crs: int | None = None

    @model_validator(mode="after")
    def _divides(self) -> GridConfig:
        if self.block % self.chunk:
            raise InvalidConfigError(
                f"block {self.block}, chunk {self.chunk}", expected="a chunk that divides the block", key="grid.chunk"
            )
        return self


class CubeConfig(Section):
    """Where the run goes: a local path or fsspec URL, and whether shards are used (GDAL before 3.13 reads none)."""

    run: str
    sharded: bool = True

    def side(self, grid: GridConfig) -> int:
        """Of the ground that one stored object holds, in pixels."""
        return grid.block if self.sharded else grid.chunk
