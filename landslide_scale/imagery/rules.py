"""What takes a pixel out beside its scene class: what other assets of its scene say of it, some of that grown.

A datatake's look at its ground holds all that a mask asks: the scene classes, and of the scene that each pixel is from
what the assets say that rules are about. A pixel of which such an asset says nothing is not observed: nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason, reasons
from landslide_scale.grid import Lattice
from landslide_scale.imagery.mask import masked, near
from landslide_scale.imagery.mask_settings import MaskRule
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.reading.claims import OUTSIDE

_UNTOLD = 255


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the assets of a datatake say of its ground.

    Attributes:
        classes: (H, W) uint8 scene classes; 0 where it has no data.
        owner: (H, W) int16 index of the scene that each pixel is from; -1 without data.
        within: (H, W) bool, where any of its scenes lies.
        answers: (H, W) int16 by asset beside the classes; -1 where it says nothing.
    """

    classes: NDArray[np.uint8]
    owner: NDArray[np.int16]
    within: NDArray[np.bool_]
    answers: Mapping[str, NDArray[np.int16]]

    def cut(self, part: tuple[slice, slice]) -> Look:
        """A part of the ground."""
        return Look(
            classes=self.classes[part],
            owner=self.owner[part],
            within=self.within[part],
            answers={asset: said[part] for asset, said in self.answers.items()},
        )

    def taken(self, rule: MaskRule) -> NDArray[np.bool_]:
        """(H, W) what a rule takes out, before anything is grown."""
        said = self.classes if rule.asset == "scl" else self.answers[rule.asset]
        if rule.threshold is not None:
            return np.asarray(said >= rule.threshold)
        return np.isin(said, rule.classes or ())

    @property
    def unsaid(self) -> NDArray[np.bool_]:
        """(H, W) where an asset that a rule is about says nothing of a pixel with data."""
        out = np.zeros(self.classes.shape, bool)
        for said in self.answers.values():
            out |= said == OUTSIDE
        return out & (self.owner >= 0)


def decided(
    look: Look, config: CompositeConfig, lattice: Lattice, lifted: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """The :class:`Reason` of each pixel (H, W): observed where its class is clear and nothing takes it out.

    Of several reasons the smallest is told, of a class that is not clear its own.

    Args:
        look: Of a datatake.
        config: The rules.
        lattice: Of these pixels.
        lifted: (H, W) where what is called cloud is taken for clear ground.
    """
    classes = look.classes if lifted is None else np.where(lifted, np.uint8(config.clear[0]), look.classes)
    out = masked(classes, look.within, config, lattice)
    if not config.mask:
        return out
    clear, told = reasons(classes, config.clear) == Reason.OBSERVED, np.full(out.shape, _UNTOLD, np.uint8)
    told[look.unsaid] = Reason.NO_DATA
    for rule in config.mask:
        for why, taken in _seeds(rule, look, classes):
            seeds = taken & ~lifted if lifted is not None and why == Reason.CLOUD else taken
            grown = near(seeds, rule.grow_m / lattice.resolution) if rule.grow_m else seeds
            told[grown] = np.minimum(told[grown], np.uint8(why))
    hit = clear & (told != _UNTOLD)
    out[hit] = np.where(out[hit] == Reason.OBSERVED, told[hit], np.minimum(out[hit], told[hit]))
    return out


def _seeds(rule: MaskRule, look: Look, classes: NDArray[np.uint8]) -> list[tuple[Reason, NDArray[np.bool_]]]:
    """What a rule takes out (H, W), by reason; scene classes have their own."""
    if rule.asset != "scl":
        return [(rule.why, look.taken(rule))]
    by_reason: dict[Reason, list[int]] = {}
    for code in rule.classes or ():
        by_reason.setdefault(Reason(int(reasons(np.array([code], np.uint8), ())[0])), []).append(code)
    return [(why, np.isin(classes, codes)) for why, codes in sorted(by_reason.items())]
