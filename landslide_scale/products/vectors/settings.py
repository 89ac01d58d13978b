"""The section of a configuration that names a user's own layers."""

from __future__ import annotations

from landslide_scale.strictyaml import InputPath, Section


class UserLayerConfig(Section):
    """One vector file.

    Attributes:
        file: Path or fsspec URL of a vector file that states its coordinate reference system, or of a folder or
            ``.zip`` of such.
        layer: Which of its layers; needed where several hold what is meant.
    """

    file: InputPath
    layer: str | None = None


class UserLayersConfig(Section):
    """What landslides are asked about: each says which of these it touches, and is ranked by it.

    Attributes:
        roads: Lines.
        rivers: Lines.
        buildings: Polygons.
        cropland: Polygons.
        river_banks: Polygons.
    """

    roads: UserLayerConfig | None = None
    rivers: UserLayerConfig | None = None
    buildings: UserLayerConfig | None = None
    cropland: UserLayerConfig | None = None
    river_banks: UserLayerConfig | None = None

    @property
    def given(self) -> dict[str, UserLayerConfig]:
        """Those that are named, by name."""
        return {name: layer for name in type(self).model_fields if (layer := getattr(self, name)) is not None}
