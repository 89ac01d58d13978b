"""What an export is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from landslide_scale.errors import InvalidConfigError
from landslide_scale.products import names
from landslide_scale.products.change.settings import Change
from landslide_scale.products.heritage import Heritage
from landslide_scale.products.outlines.wanted import LEAST_AREA_M2
from landslide_scale.stac.settings import DemConfig


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is exported, where to, and how polygons are drawn.

    Attributes:
        to: Path or URL of the folder of the products; None for ``products`` in the run's.
        only: Kinds of products to make, of `names.KINDS`.
        threshold: Probability from which a pixel is landslide, in (0, 1); None for the checkpoint's.
        min_area_m2: Polygons smaller than this are left out, and counted; 0 keeps all.
        layers: Files of the user's own ground, by what they are: an address each.
        heritage: Whose ids and verdicts landslides have; None of a map that stands alone.
        change: Two layers to compare: polygons are then of what is new in the second, and rasters say more of it; None
            for all layers alike.
        dem: Where the elevation model of the run may be read from, beside what its profile says; the rest of it is
            the run's own.
    """

    to: str | None = None
    only: tuple[str, ...] = names.KINDS
    threshold: float | None = None
    min_area_m2: float = LEAST_AREA_M2
    layers: Mapping[str, str] = field(default_factory=dict)
    heritage: Heritage | None = None
    change: Change | None = None
    dem: DemConfig | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            InvalidConfigError: Naming the option.
        """
        unknown = [kind for kind in self.only if kind not in names.KINDS]
        if unknown or not self.only:
            raise InvalidConfigError(
                ",".join(unknown) or "no kind", expected=f"kinds of {','.join(names.KINDS)}", key="--only"
            )
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise InvalidConfigError(f"{self.threshold:g}", expected="a probability in (0, 1)", key="--threshold")
        if not (math.isfinite(self.min_area_m2) and self.min_area_m2 >= 0):
            raise InvalidConfigError(f"{self.min_area_m2:g}", expected="square metres, 0 or more", key="--min-area")


def layers_told(told: Sequence[str]) -> dict[str, str]:
    """Layers by name from texts ``NAME=FILE``.

    Raises:
        InvalidConfigError: A text is none of these, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in told:
        name, sign, file = text.partition("=")
        if not (name and sign and file):
            raise InvalidConfigError(text, expected="NAME=FILE, as roads=roads.gpkg", key="--layer")
        if name in found:
            raise InvalidConfigError(f"{name} twice", expected="one file for each name", key="--layer")
        found[name] = file
    return found
