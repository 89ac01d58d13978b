"""The section of a configuration that names ground."""

from __future__ import annotations

from pydantic import model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import InputPath, Section


class RegionConfig(Section):
    """Where: a bounding box in degrees (west, south, east, north; west > east crosses the antimeridian) or a file."""

    bbox: tuple[float, float, float, float] | None = None
    file: InputPath | None = None
    layer: str | None = None

    @model_validator(mode="after")
    def _one(self) -> RegionConfig:
        if (self.bbox is None) == (self.file is None):
            raise InvalidConfigError("both or neither of bbox and file", expected="exactly one", key="region")
        return self
