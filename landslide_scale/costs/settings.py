"""What machines cost."""

from __future__ import annotations

from pydantic import Field

from landslide_scale.strictyaml import Section


class PricesConfig(Section):
    """What an hour costs, for what ``plan --like`` says.

    Attributes:
        cpu_hour: One CPU core for an hour.
        gpu_hour: One GPU for an hour.
        currency: Of both.
    """

    cpu_hour: float = Field(default=0, ge=0)
    gpu_hour: float = Field(default=0, ge=0)
    currency: str = "USD"
