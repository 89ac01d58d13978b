"""The section of a configuration that names ground."""

from __future__ import annotations

from pydantic import model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import Section


class RegionConfig(Section):
    """Where: a bounding box or a file of polygons, exactly one of them.

    Attributes:
        bbox: West, south, east, north in degrees; west > east crosses the antimeridian.
        file: Path or fsspec URL of a vector file of polygons (GeoJSON, GeoPackage, Shapefile, ...) that states its
            coordinate reference system.
        layer: Of the file's layers, where it has more than one.
    """

    bbox: tuple[float, float, float, float] | None = None
    file: str | None = None
    layer: str | None = None

    @model_validator(mode="after")
    def _one(self) -> RegionConfig:
        if (self.bbox is None) == (self.file is None):
            raise InvalidConfigError("both or neither of bbox and file", expected="exactly one", key="region")
        return self
