"""Torch where a unit is predicted and nowhere else: drivers, readers and writers do without its seconds and memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslide_scale.scan.pipeline.predictor import Predictor

Load = Callable[..., tuple[Any, Any]]
"""Gives a network and its card; with ``sha256`` that of this very file."""


def restored(url: str, *, base_url: str | None, sha256: str | None) -> tuple[Any, Any]:
    """As :func:`landslide_scale.model.checkpoint.restore`."""
    from landslide_scale.model.checkpoint import restore  # noqa: PLC0415 imports torch

    return restore(url, base_url=base_url, sha256=sha256)


def predictor(load: Load, **how: Any) -> Predictor:  # noqa: ANN401 passed on
    """As :class:`landslide_scale.scan.pipeline.predictor.Predictor`."""
    from landslide_scale.scan.pipeline.predictor import Predictor  # noqa: PLC0415 imports torch

    return Predictor(load, **how)
