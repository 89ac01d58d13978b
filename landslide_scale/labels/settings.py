"""Training chips as a configuration file asks for them."""

from __future__ import annotations

from pydantic import Field, model_validator

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidConfigError
from landslide_scale.imagery.settings import CompositeConfig, check_assets
from landslide_scale.region.settings import LabelledRegionConfig, LabelsConfig
from landslide_scale.scan.settings import ScanCompute
from landslide_scale.stac.settings import CatalogConfig, DemConfig, WindowField, check_terrain
from landslide_scale.strictyaml import OutputPath, Section


class ChipsConfig(Section):
    """Label polygons and a catalogue to training chips.

    Attributes:
        region: Ground whose labels are complete: unlabelled ground inside it is background.
        labels: Polygons of landslides.
        windows: Periods of time, of each of which chips are made; half-open: the end is not part of it.
        catalog: Where the scenes are from.
        dem: Where ``elevation`` and ``slope`` among the bands are from.
        grid: The lattice of the chips.
        composite: How the scenes of a window become one image.
        bands: Channels of the chips: bands of Sentinel-2 (``red``, ``nir``, ``swir16``, ...), ``elevation``, ``slope``.
        size: Side of a chip in pixels.
        compute: What making them takes of the cluster: `address` and `cpus_per_reader` alone.
        directory: Where the chips go; must be empty or absent.
    """

    region: LabelledRegionConfig
    labels: LabelsConfig
    windows: tuple[WindowField, ...] = Field(min_length=1)
    catalog: CatalogConfig = CatalogConfig()
    dem: DemConfig | None = None
    grid: GridConfig = GridConfig()
    composite: CompositeConfig = CompositeConfig()
    bands: tuple[str, ...] = ("red", "green", "blue")
    size: int = Field(default=224, ge=16)
    compute: ScanCompute = ScanCompute()
    directory: OutputPath

    @model_validator(mode="after")
    def _bands(self) -> ChipsConfig:
        known = (*BAND_NAMES, *TERRAIN_BANDS)
        unknown = [band for band in self.bands if band not in known]
        if unknown:
            raise InvalidConfigError(f"bands {unknown}", expected=f"of {', '.join(known)}", key="bands")
        check_terrain(self.bands, self.dem)
        check_assets(self.composite, self.catalog)
        return self
