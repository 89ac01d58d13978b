"""The section of a configuration that says how scenes become one image."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from landslide_scale.bands import CLEAR_CLASSES, DILATED_CLASSES, Scl
from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import Section

SceneClass = Annotated[int, Field(ge=Scl.DEFECTIVE, le=Scl.SNOW)]

_LEAST_CLEAR = {"median": 3, "medoid": 3, "latest": 1, "least_cloudy": 1}


class CompositeConfig(Section):
    """How the scenes of a window become one image.

    Attributes:
        method: ``median`` of the clear observations (with fewer than three, the latest), band by band; ``medoid``, the
            one of them whose spectrum is nearest to all others together (Flood 2013), all bands of one date;
            ``latest``; or ``least_cloudy``.
        clear: SCL classes that count as clear.
        grow: SCL classes that are grown, none of them clear; by default clouds and their shadows, as far as they are
            not clear.
        dilate_m: They are grown by this many metres.
        no_data: ``stated``: a pixel is not observed where any band has no data: a number that its file declares as
            such, 0 (unless the provider took the offset off and stopped there), or one that no product holds.
            ``zeros``, as runs did before: only where every band is 0, whatever files declare.
        edge_m: What is within so many metres of the edge of a datatake's swath, or of a hole in it, is not observed
            (reason ``no_data``): there some bands end before others.
        decided_at: ``mask``: classes and growth are decided at the mask's own pixels, and a coarser pixel is the mean
            of its clear ground; what lies off the lattice is averaged before it is sampled. ``lattice``, as runs did
            before: at one mask pixel for each coarser one, which is the mean of all its ground, or sampled at a point.
        clear_share: Of the ground of a coarser pixel that is clear where the pixel counts as observed.
        min_clear: A pixel with fewer clear observations is not observed (reason ``too_few_clear``).
        max_clear: At most so many clear observations of a pixel are read, the newest ones; ``clear_count`` stops
            there. By default all are.
        processings: Of several scenes of one datatake, tile and datastrip, ``ordered``: the newest, and where it has no
            data the next older; ``newest``: it alone, as in runs begun before there was a choice.
    """

    method: Literal["median", "medoid", "latest", "least_cloudy"] = "median"
    clear: tuple[SceneClass, ...] = Field(default=tuple(int(known) for known in CLEAR_CLASSES), min_length=1)
    grow: tuple[SceneClass, ...] | None = None
    dilate_m: float = Field(default=100.0, ge=0, le=2000)
    no_data: Literal["stated", "zeros"] = "stated"
    edge_m: float = Field(default=60.0, ge=0, le=2000)
    decided_at: Literal["mask", "lattice"] = "mask"
    clear_share: float = Field(default=0.8, gt=0, le=1)
    min_clear: int = Field(default=1, ge=1, le=255)
    max_clear: int | None = Field(default=None, ge=1, le=255)
    processings: Literal["ordered", "newest"] = "ordered"

    @model_validator(mode="after")
    def _possible(self) -> CompositeConfig:
        least = max(self.min_clear, _LEAST_CLEAR[self.method])
        if self.max_clear is not None and self.max_clear < least:
            raise InvalidConfigError(
                f"max_clear {self.max_clear} with min_clear {self.min_clear} and method {self.method}",
                expected=f"at least {least}",
                cure="One or two observations have no median or medoid: see method latest.",
                key="composite.max_clear",
            )
        return self

    @model_validator(mode="after")
    def _effective(self) -> CompositeConfig:
        """Refuses what is stated and can do nothing."""
        both = sorted(set(self.grow or ()) & set(self.clear))
        if both:
            raise InvalidConfigError(
                f"{both}, which composite.clear has too",
                expected="classes that are not clear: of one that is grown nothing would be observed",
                key="composite.grow",
            )
        if self.grow and not self.dilate_m:
            raise InvalidConfigError(
                f"{list(self.grow)} with dilate_m 0", expected="metres to grow them by", key="composite.grow"
            )
        if self.decided_at == "lattice" and "clear_share" in self.model_fields_set:
            raise InvalidConfigError(
                f"{self.clear_share} with decided_at lattice",
                expected="none: there one mask pixel decides on each pixel",
                key="composite.clear_share",
            )
        if self.dilate_m and not self.grown and "dilate_m" in self.model_fields_set:
            raise InvalidConfigError(
                f"{self.dilate_m} with no class that is grown: clear {list(self.clear)}, grow {self.grow}",
                expected="0, or a class in composite.grow that is not clear",
                key="composite.dilate_m",
            )
        return self

    @property
    def grown(self) -> tuple[int, ...]:
        """SCL classes that are grown."""
        if self.grow is not None:
            return self.grow
        return tuple(int(known) for known in DILATED_CLASSES if known not in self.clear)
