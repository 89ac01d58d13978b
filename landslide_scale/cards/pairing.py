"""A network and images that are not its own: in what these differ from those it learnt from, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_scale.grid import PatchLattice
    from landslide_scale.provenance import ImageFacts, Judged, Precision


_PASSING = {"patch": "patch", "halo": "overlap", "precision": "precision"}


def not_known(trained: ImageFacts) -> str:
    """What nobody says of the images that a network learnt from; empty where all is said."""
    facts = (("ground resolution", trained.resolution), ("composite", trained.method))
    unknown = [name for name, value in facts if value is None]
    return f"{' and '.join(unknown)} of the images that the model was trained on" if unknown else ""


def not_said(judged: Judged) -> str:
    """What nobody says of how it passed over those that it was validated on; empty where all is said."""
    unsaid = [words for key, words in _PASSING.items() if getattr(judged, key) is None]
    return f"{', '.join(unsaid)} at which threshold and calibration were found" if unsaid else ""


def judged_otherwise(judged: Judged, patches: PatchLattice, precision: Precision) -> str:
    """How a scan passes over the ground otherwise than validation did, by which threshold and calibration are.

    Args:
        judged: What the card says of validation.
        patches: Of the scan.
        precision: Of the scan.
    """
    here = {"patch": patches.patch, "halo": patches.halo, "precision": precision}
    differ = [f"predict.{key} {value} (here {here[key]})" for key, value in judged.known.items() if here[key] != value]
    return f"Threshold and calibration were found otherwise: {', '.join(differ)}." if differ else ""


def made_otherwise(trained: ImageFacts, shown: ImageFacts) -> str:
    """How images differ in what made them, as far as it is known of both.

    Args:
        trained: Those that a network learnt from.
        shown: Those that it is shown.
    """
    pairs = (
        ("composite.method", trained.method, shown.method),
        ("composite.clear", _listed(trained.clear), _listed(shown.clear)),
        ("composite.dilate_m", trained.dilate_m, shown.dilate_m),
        ("composite.mask", _rules(trained.mask), _rules(shown.mask)),
        ("dem.collection", trained.dem, shown.dem),
    )
    known = [pair for pair in pairs if None not in pair]
    differ = [f"{key} {there} (here {here})" for key, there, here in known if there != here]
    return f"The model was trained on images made otherwise: {', '.join(differ)}." if differ else ""


def _rules(lines: tuple[str, ...] | None) -> str | None:
    return None if lines is None else "; ".join(sorted(lines)) or "none"


def _listed(classes: tuple[int, ...] | None) -> str | None:
    return None if classes is None else str(sorted(set(classes)))
