"""How a network is built, as cards and settings of runs keep it.

What was written before convolutional networks had designs names none: it means the one there was. Such a network is
still written without a word of it, so that a training begun then comes to the file that it would have come to.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from landslide_scale.spec import ConvDesign, ConvName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.spec import ModelSpec

_FIRST: ConvDesign = "smp"


def as_kept(model: ModelSpec) -> dict[str, Any]:
    """A spec as plain values to keep."""
    plain = asdict(model)
    return {key: value for key, value in plain.items() if (key, value) != ("design", _FIRST)}


def with_design(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What was kept of a spec, with the design that it had where it names none; anything else as it is."""
    unsaid = kept.get("name") in get_args(ConvName) and "design" not in kept
    return {**kept, "design": _FIRST} if unsaid else dict(kept)
