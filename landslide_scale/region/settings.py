"""The section of a configuration that names ground."""

from __future__ import annotations

from pydantic import model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import InputPath, Section


class RegionConfig(Section):
    """Where: a bounding box or a file of polygons, exactly one of them.

    Attributes:
        bbox: West, south, east, north in degrees; west > east crosses the antimeridian.
        file: Path or fsspec URL of a vector file of polygons (GeoJSON, GeoPackage, Shapefile, ...) that states its
            coordinate reference system, or of a folder or ``.zip`` of such.
        layer: Which of its layers, or folders of a KML; needed where several hold polygons, but not in a KML, of which
            all folders are taken.
    """

    bbox: tuple[float, float, float, float] | None = None
    file: InputPath | None = None
    layer: str | None = None

    @model_validator(mode="after")
    def _one(self) -> RegionConfig:
        if (self.bbox is None) == (self.file is None):
            raise InvalidConfigError("both or neither of bbox and file", expected="exactly one", key="region")
        if self.layer is not None and self.file is None:
            raise InvalidConfigError("layer without file", expected="the file it is a layer of", key="region.layer")
        return self
