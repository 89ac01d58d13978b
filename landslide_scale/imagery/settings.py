"""The section of a configuration that says how scenes become one image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from landslide_scale.bands import BAND_NAMES, CLEAR_CLASSES, CLOUDY_CLASSES, DILATED_CLASSES, PROBABILITIES
from landslide_scale.errors import InvalidConfigError
from landslide_scale.imagery.mask_settings import MaskRule, PersistenceConfig, SceneClass, idle
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.strictyaml import Section

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
        mask: Rules beside the one that `clear`, `grow` and `dilate_m` state, which is about scene classes: what any of
            them takes out is not observed.
        persistence: How bright ground is told from cloud; by default it is not.
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
    mask: tuple[MaskRule, ...] = ()
    persistence: PersistenceConfig | None = None
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

    @model_validator(mode="after")
    def _sound_rules(self) -> CompositeConfig:
        """Refuses a rule that is none, or that can do nothing beside the others."""
        for number, rule in enumerate(self.mask):
            problems = (rule.problem(), self._against_classes(rule), idle(rule, self.mask[:number]))
            found, expected, key = next((one for one in problems if one[0]), ("", "", ""))
            if found:
                raise InvalidConfigError(found, expected=expected, key=f"composite.mask.{number}.{key}")
        return self

    @model_validator(mode="after")
    def _sound_persistence(self) -> CompositeConfig:
        if self.persistence is None:
            return self
        both = sorted(set(self.persistence.classes or ()) & set(self.clear))
        if both or not self.cloudy:
            raise InvalidConfigError(
                f"{both}, which composite.clear has too" if both else f"none: all are clear, {list(self.clear)}",
                expected="classes that are not clear",
                key="composite.persistence.classes",
            )
        return self

    def _against_classes(self, rule: MaskRule) -> tuple[str, str, str]:
        """Found, expected and key of a rule about scene classes that takes out clear ones, or nothing more."""
        if rule.asset == "scl" and rule.classes is not None:
            if both := sorted(set(rule.classes) & set(self.clear)):
                return f"{both}, which composite.clear has too", "classes that are not clear", "classes"
            grown = {code: self.dilate_m if code in self.grown else 0.0 for code in sorted(rule.classes)}
            if less := [code for code, metres in grown.items() if rule.grow_m <= metres]:
                found = f"{rule.grow_m:g} for {less}, grown by {grown[less[0]]:g} without it"
                return found, "more metres than composite.grow and dilate_m say", "grow_m"
        return "", "", ""

    @property
    def assets(self) -> tuple[str, ...]:
        """What is asked beside bands: the scene classes first, then what the rules do."""
        return tuple(dict.fromkeys(("scl", *(rule.asset for rule in self.mask))))

    @property
    def reach_m(self) -> float:
        """Metres from which something grows into a pixel."""
        return max(self.dilate_m, self.edge_m, *(rule.grow_m for rule in self.mask))

    @property
    def cloudy(self) -> tuple[int, ...]:
        """SCL classes that the test of persistence takes for cloud."""
        stated = None if self.persistence is None else self.persistence.classes
        return tuple(int(known) for known in stated or CLOUDY_CLASSES if known not in self.clear)

    @property
    def rules_told(self) -> tuple[str, ...]:
        """What else decides on a pixel than the scene classes, as people are told of it."""
        lines = tuple(rule.line for rule in self.mask)
        if self.persistence is None or not self.persistence.observe:
            return lines
        one = self.persistence
        told = f"classes {sorted(self.cloudy)} observed where persistent on {one.dates} dates"
        return (*lines, f"{told}, {one.clear_share:g} clear within {one.around_m:g} m")


def check_assets(composite: CompositeConfig, catalog: CatalogConfig) -> None:
    """Make sure that a catalogue has what the rules of a mask ask, and that nothing else is named.

    Raises:
        InvalidConfigError: A rule asks what neither the profile nor ``catalog.assets`` has, or the latter names what no
            rule asks.
    """
    known = [name for name in catalog.asset_names if name not in BAND_NAMES]
    for number, rule in enumerate(composite.mask):
        if rule.asset not in known:
            raise InvalidConfigError(
                f"{rule.asset}, which profile {catalog.profile} does not have",
                expected=f"one of {', '.join(known)}",
                cure=f"catalog.assets may name it (`{rule.asset}: NAME`) where the Items have it; earth-search-c1 has "
                "cloud and snow.",
                key=f"composite.mask.{number}.asset",
            )
    asked = {*BAND_NAMES, "scl", *PROBABILITIES, *composite.assets}
    if unasked := sorted(set(catalog.assets) - asked):
        raise InvalidConfigError(
            f"{', '.join(unasked)}, which is no band and which no rule of composite.mask asks",
            expected=f"of {', '.join((*BAND_NAMES, 'scl', *PROBABILITIES))}, or the asset of such a rule",
            key="catalog.assets",
        )
