"""What becomes of one file: its chip, or the reason why it has none, and what was read of it either way."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from landslide_scale.datasets.chips import LEAST_OBSERVED
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.importing.chip import Chip, asked, chip_of
from landslide_scale.importing.events import Event, Unfit, event_of
from landslide_scale.importing.netcdf import opened
from landslide_scale.importing.patch import Header, Pixels, read_header, read_pixels
from landslide_scale.label_values import IGNORE, LANDSLIDE


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What became of one file.

    Attributes:
        facts: As JSON: ``file``, ``inventory`` and ``outcome`` (``taken``, ``skipped`` or ``quarantined``), with
            ``reason`` and ``detail`` where it was not taken; ``crs`` and ``bounds`` (left, bottom, right, top, metres),
            ``event``, ``estimated``, ``frames``, ``offset`` and pixel counts as far as it was read.
        chip: Where it was taken.
    """

    facts: dict[str, Any]
    chip: Chip | None = None


def outcome_of(path: Path, inventory: str, *, days: int, low_quality: Collection[str]) -> Outcome:
    """Read a file, and make its chip where it can be one.

    Args:
        path: The file.
        inventory: Whose mapping it is from.
        days: Frames of so many days after the event are taken.
        low_quality: Names of patches that are left out.
    """
    known: dict[str, Any] = {"file": path.name, "inventory": inventory}
    try:
        with opened(path) as patch:
            header = read_header(patch)
            known |= {"crs": header.crs, "bounds": list(header.bounds)}
            event = event_of(header, name=path.stem, low_quality=low_quality, days=days)
            if isinstance(event, Unfit):
                return _unfit(known, event)
            pixels = read_pixels(patch, len(header.days))
    except InvalidDatasetError as error:
        said = f"{error.found}; expected {error.expected}"
        return _unfit(known, Unfit(outcome="quarantined", reason="not as published", detail=said))
    return _shown(known | _dated(header, event), pixels, event.frames)


def _unfit(known: dict[str, Any], why: Unfit) -> Outcome:
    return Outcome(facts=known | asdict(why))


def _dated(header: Header, event: Event) -> dict[str, Any]:
    return {
        "event": str(event.day),
        "estimated": not event.certain,
        "frames": [str(header.days[number]) for number in event.frames],
    }


def _shown(known: dict[str, Any], pixels: Pixels, frames: tuple[int, ...]) -> Outcome:
    """What the pixels of a patch with one event come to."""
    if not pixels.mask.any():
        return _unfit(known, Unfit(outcome="skipped", reason="annotated, but its mask is empty"))
    evidence = asked(pixels, frames)
    known = known | {"offset": {"witness": evidence.verdict, "figures": evidence.figures}}
    if evidence.verdict == "carried":
        reason = "its numbers still carry the offset of -1000"
        return _unfit(known, Unfit(outcome="quarantined", reason=reason, detail=evidence.figures))
    chip = chip_of(pixels, frames)
    observed = chip.label != IGNORE
    if observed.mean() < LEAST_OBSERVED:
        reason = f"less than {LEAST_OBSERVED:.0%} of it clear"
        return _unfit(known, Unfit(outcome="skipped", reason=reason, detail=f"{observed.mean():.1%}"))
    counts = {"pixels": int(observed.sum()), "landslide_pixels": int((chip.label == LANDSLIDE).sum())}
    return Outcome(facts=known | {"outcome": "taken"} | counts, chip=chip)
