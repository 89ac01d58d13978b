"""The parts of a configuration that say what takes a pixel out beside its scene class, and what takes one back in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from landslide_scale.bands import BAND_NAMES, PROBABILITIES, Reason, Scl
from landslide_scale.stac.settings import AssetWord
from landslide_scale.strictyaml import Section

SceneClass = Annotated[int, Field(ge=Scl.DEFECTIVE, le=Scl.SNOW)]
MaskClass = Annotated[int, Field(ge=0, le=254)]
ReasonWord = Literal["cloud", "cloud_shadow", "terrain_shadow", "snow", "unclassified", "defective"]

CERTAIN = 100
"""Percent; a probability beyond is none."""


class _Stated(Section):
    """A section whose keys are recorded only where they are stated, so that later ones change no older record."""

    @model_serializer(mode="wrap")
    def _as_stated(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in whole(self).items() if value is not None}


class MaskRule(_Stated):
    """What is not observed for what another asset than the scene classes says of it, or those in another way.

    Attributes:
        asset: ``cloud`` or ``snow``: Sen2Cor's probability, percent. ``scl``: scene classes, to grow some by another
            length. Any other is one of your own, which ``catalog.assets`` names; 0 is a number there, whatever the file
            declares, and what it declares as no data otherwise is not observed.
        classes: Numbers that are not observed, 0 to 254.
        threshold: Numbers from here on are not observed.
        grow_m: Nor is what lies within so many metres of them.
        reason: Why, in the words of a cube; by default what the asset is called where it is ``cloud`` or ``snow``, and
            of scene classes their own.
    """

    asset: AssetWord
    classes: tuple[MaskClass, ...] | None = Field(default=None, min_length=1)
    threshold: float | None = Field(default=None, gt=0, le=2**15 - 1)
    grow_m: float = Field(default=0.0, ge=0, le=2000)
    reason: ReasonWord | None = None

    def problem(self) -> tuple[str, str, str]:
        """Found, expected and key of what is wrong with the rule by itself; nothing where nothing is."""
        if (self.classes is None) == (self.threshold is None):
            both = "neither" if self.classes is None else "both"
            return f"{both} of classes and threshold", "one of them", "classes"
        if self.asset in BAND_NAMES:
            return self.asset, "an asset that tells what a pixel is; reflectance does not", "asset"
        return self._wrong_classes() or self._wrong_threshold() or self._wrong_reason() or ("", "", "")

    def _wrong_classes(self) -> tuple[str, str, str] | None:
        if self.classes is None:
            return None
        listed = list(self.classes)
        if len(set(listed)) != len(listed):
            return f"{listed}", "each class once", "classes"
        if self.asset in PROBABILITIES:
            return f"{listed}", f"a threshold, for {self.asset} holds percent", "classes"
        if self.asset == "scl" and not set(listed) <= set(range(Scl.DEFECTIVE, Scl.SNOW + 1)):
            return f"{listed}", f"scene classes, {Scl.DEFECTIVE:d} to {Scl.SNOW:d}", "classes"
        return None

    def _wrong_threshold(self) -> tuple[str, str, str] | None:
        if self.threshold is None:
            return None
        if self.asset == "scl":
            return f"{self.threshold:g}", "classes, for scl holds no amounts", "threshold"
        if self.asset in PROBABILITIES and self.threshold > CERTAIN:
            return f"{self.threshold:g}", f"percent, above 0 and at most {CERTAIN}", "threshold"
        return None

    def _wrong_reason(self) -> tuple[str, str, str] | None:
        if self.asset == "scl":
            return (f"{self.reason}", "none, for scene classes have their own", "reason") if self.reason else None
        if self.reason is None and self.asset not in PROBABILITIES:
            return "none", "why what it says is not observed: cloud, cloud_shadow, snow, ...", "reason"
        return None

    @property
    def why(self) -> Reason:
        """The reason of what an asset other than the scene classes takes out."""
        return Reason[(self.reason or self.asset).upper()]

    @property
    def line(self) -> str:
        """As people are told of it."""
        what = f">= {self.threshold:g}" if self.classes is None else f"in {sorted(self.classes)}"
        return f"{self.asset} {what} grown by {self.grow_m:g} m" + (f" as {self.reason}" if self.reason else "")


class PersistenceConfig(_Stated):
    """A pixel that is masked as cloud on every date on which its surroundings are clear is probably bright ground.

    A date tells something of a pixel where at least `clear_share` of the square within `around_m` of it is of a clear
    class, nothing grown. It is persistent (reason ``persistent``) where at least `dates` such dates (datatakes) of the
    window found it of a cloudy class itself, none otherwise, and where it is of a clear class on no date at all. Cloud
    may stay at a place too, over a summit, so such a pixel is not observed unless told to.

    Attributes:
        classes: SCL classes that are cloudy, none of them clear; by default 7 to 10, as far as they are not clear. What
            a rule of the mask with the reason ``cloud`` takes out is cloudy too.
        dates: Datatakes with clear surroundings, at least.
        around_m: Half the side of the square.
        clear_share: Of the square, the pixel itself among it, that is clear.
        observe: Whether such a pixel is observed, on the dates with clear surroundings, and nothing is grown from it.
    """

    classes: tuple[SceneClass, ...] | None = Field(default=None, min_length=1)
    dates: int = Field(default=3, ge=2, le=255)
    around_m: float = Field(default=500.0, gt=0, le=2000)
    clear_share: float = Field(default=0.75, gt=0, le=1)
    observe: bool = False


def idle(rule: MaskRule, before: tuple[MaskRule, ...]) -> tuple[str, str, str]:
    """Found, expected and key of a rule that changes nothing beside those `before` it; nothing where it does."""
    for number, other in enumerate(before):
        if other.asset != rule.asset:
            continue
        if twice := sorted(set(rule.classes or ()) & set(other.classes or ())):
            return f"{twice}, which composite.mask.{number} has too", f"each class of {rule.asset} once", "classes"
        if rule.threshold is not None and other.threshold is not None:
            low, high = sorted((other, rule), key=lambda each: each.threshold or 0)
            if low.threshold == high.threshold or (low.grow_m >= high.grow_m and low.why <= high.why):
                found = f"{rule.threshold:g} with grow_m {rule.grow_m:g}, beside composite.mask.{number}"
                return found, "rules of which none takes out all that another does", "threshold"
    return "", "", ""
