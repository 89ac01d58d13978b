"""The sections of a configuration that name ground, and the landslides on it."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import InputPath, Section

_QUOTED = re.compile(r"'[^']*'")


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


class LabelsConfig(Section):
    """Which landslides: a file of polygons.

    Attributes:
        file: Path or fsspec URL of a vector file of polygons, as a region's.
        layer: Which of its layers; needed where several hold polygons.
        where: Which of its features, by their attributes: a condition as OGR SQL has it, ``event_date = '2018-09-06'``.
            The others are background, as if they were not in the file.
        repair: Mend rings that cross themselves, keeping what is areal of them, and leave out polygons without area;
            otherwise such a file is refused.
        ignore_ring_m: Pixels within so many metres of a landslide are ignored (255) unless they are in one: where it
            ends is uncertain by a pixel or two.
    """

    file: InputPath
    layer: str | None = None
    where: str | None = None
    repair: bool = False
    ignore_ring_m: float = Field(default=0.0, ge=0, le=1000)

    @model_validator(mode="after")
    def _condition(self) -> LabelsConfig:
        if self.where is not None and (not self.where.strip() or ";" in _QUOTED.sub("", self.where)):
            raise InvalidConfigError(repr(self.where), expected="one condition, without ;", key="labels.where")
        return self


class LabelledRegionConfig(RegionConfig):
    """Where labels are complete: a bounding box, a file of polygons, or what lies around the labels; exactly one.

    Attributes:
        bbox: West, south, east, north in degrees; west > east crosses the antimeridian.
        file: Path or fsspec URL of a vector file of polygons.
        layer: Which of its layers; needed where several hold polygons.
        around_labels: All ground within so many metres of a landslide, for inventories without a mapped outline. There
            is more landslide in it than on the ground at large, and chips say so.
    """

    around_labels: float | None = Field(default=None, gt=0, le=100_000)

    @model_validator(mode="after")
    def _one(self) -> LabelledRegionConfig:
        given = [key for key in ("bbox", "file", "around_labels") if getattr(self, key) is not None]
        if len(given) != 1:
            raise InvalidConfigError(
                " and ".join(given) or "none of them", expected="one of bbox, file and around_labels", key="region"
            )
        if self.layer is not None and self.file is None:
            raise InvalidConfigError("layer without file", expected="the file it is a layer of", key="region.layer")
        return self
