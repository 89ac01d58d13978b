"""The section of a configuration that says how scenes become one image."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from landslide_scale.bands import CLEAR_CLASSES, Scl
from landslide_scale.errors import InvalidConfigError
from landslide_scale.strictyaml import Section

SceneClass = Annotated[int, Field(ge=Scl.DEFECTIVE, le=Scl.SNOW)]

_LEAST_CLEAR = {"median": 3, "latest": 1, "least_cloudy": 1}


class CompositeConfig(Section):
    """How the scenes of a window become one image.

    Attributes:
        method: ``median`` of the clear observations (with fewer than three, the latest), ``latest``, or
            ``least_cloudy``.
        clear: SCL classes that count as clear.
        dilate_m: Cloud, and cloud shadow, are grown by this many metres.
        min_clear: A pixel with fewer clear observations is not observed (reason ``too_few_clear``).
        max_clear: At most so many clear observations of a pixel are read, the newest ones; ``clear_count`` stops
            there. By default all are.
        processings: Of several scenes of one datatake, tile and datastrip, ``ordered``: the newest, and where it has no
            data the next older; ``newest``: it alone, as in runs begun before there was a choice.
    """

    method: Literal["median", "latest", "least_cloudy"] = "median"
    clear: tuple[SceneClass, ...] = Field(default=tuple(int(known) for known in CLEAR_CLASSES), min_length=1)
    dilate_m: float = Field(default=100.0, ge=0, le=2000)
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
                cure="One or two observations have no median: see method latest.",
                key="composite.max_clear",
            )
        return self
