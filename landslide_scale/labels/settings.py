"""Training chips as a configuration file asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidConfigError
from landslide_scale.imagery.settings import CompositeConfig, check_assets
from landslide_scale.region.settings import LabelledRegionConfig, LabelsConfig
from landslide_scale.scan.settings import ScanCompute
from landslide_scale.scene import Window
from landslide_scale.stac.settings import CatalogConfig, DemConfig, WindowField, check_terrain
from landslide_scale.strictyaml import OutputPath, Section


class DatedLabelsConfig(LabelsConfig):
    """Which landslides, and when they were there.

    Attributes:
        window: The time in which the landslides are there: from the event on, to when they are overgrown or not vouched
            for. Windows of chips that lie in it show them. By default all windows do, which is said where there are
            several.
        before: What becomes of windows that end before it begins: ``refused``, or ``background``: their chips show no
            landslide. A window that lies neither in it nor before it is refused.
    """

    window: WindowField | None = None
    before: Literal["refused", "background"] = "refused"

    @model_validator(mode="after")
    def _dated(self) -> DatedLabelsConfig:
        if self.before != "refused" and self.window is None:
            raise InvalidConfigError("before without window", expected="labels.window beside it", key="labels.before")
        return self

    def bare(self, windows: Sequence[Window]) -> tuple[int, ...]:
        """Numbers of the windows of chips that end before the landslides are there.

        Raises:
            InvalidConfigError: A window in which nobody says whether they are, or one before where these are refused.
        """
        if self.window is None:
            return ()
        found = []
        for number, each in enumerate(windows):
            if each.until <= self.window.start:
                found.append(number)
            elif any(span.start < self.window.start or span.end > self.window.end for span in each.spans):
                raise InvalidConfigError(
                    f"{each.days}, and labels.window {self.window.days}",
                    expected="windows in it, or before it",
                    cure="Take a window that lies in the time in which the landslides are there.",
                    key="windows",
                )
        if found and self.before == "refused":
            raise InvalidConfigError(
                f"{windows[found[0]].days}, which ends before labels.window ({self.window.days}) begins",
                expected="windows in which the landslides are there",
                cure="With labels.before: background its chips show no landslide.",
                key="windows",
            )
        return tuple(found)


class ChipsConfig(Section):
    """Label polygons and a catalogue to training chips.

    Attributes:
        region: Ground whose labels are complete: unlabelled ground inside it is background.
        labels: Polygons of landslides, and when these were there.
        windows: Periods of time, of each of which chips are made; half-open: the end is not part of it.
        catalog: Where the scenes are from.
        dem: Where ``elevation`` and ``slope`` among the bands are from.
        grid: The lattice of the chips.
        composite: How the scenes of a window become one image.
        bands: Channels of the chips: bands of Sentinel-2 (``red``, ``nir``, ``swir16``, ...), ``elevation``, ``slope``.
        size: Side of a chip in pixels.
        compute: What making them takes of the cluster: `address`, `cpus_per_reader` and `connections` alone.
        directory: Where the chips go; must be empty or absent.
    """

    region: LabelledRegionConfig
    labels: DatedLabelsConfig
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
        self.labels.bare(self.windows)
        return self
