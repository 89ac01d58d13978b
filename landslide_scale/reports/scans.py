"""A scan, as a person reads it: what it would do, how it ended, and whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

from landslide_scale.bands import scene_bands
from landslide_scale.cube.areas import Areas
from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.inspection.status import persistent_lines
from landslide_scale.metrics import AreaRatio, assumption
from landslide_scale.redaction import redacted
from landslide_scale.runtime.capacity import counted
from landslide_scale.scan.model import NoModel
from landslide_scale.scan.plan import Plan, reader_bytes
from landslide_scale.scan.prepared import Foreseen, Prepared
from landslide_scale.scan.searching import Request
from landslide_scale.scan.settings import NONE
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.scan.survey import Survey
from landslide_scale.scan.verify import Verdict
from landslide_scale.stac.revisit import keys_against
from landslide_scale.storage.rundir import RUN

NAMED_FINDINGS = 100
NAMED_FAILURES = 20
NAMED_UNITS = 3
NAMED_SCENES = 20


def plan_lines(prepared: Prepared | Foreseen) -> list[str]:
    """What a scan would do."""
    request, plan = prepared.survey.request, prepared.survey.plan
    return [
        *(_zone_line(plan, lattice, box) for lattice, box in plan.extents.items()),
        *(_window_line(plan, layer) for layer in range(len(plan.windows))),
        *_catalogue_lines(prepared),
        *(f"mask: {line}" for line in request.composite.rules_told),
        *prepared.survey.noticed,
        _region_line(prepared.survey, predicted=isinstance(prepared, Foreseen) or prepared.config.model != NONE),
        _memory_line(request, plan, len(prepared.config.output.keep)),
        *_kept_lines(prepared.config.output.keep, plan),
        *([_elevation_line(plan)] if scene_bands(request.bands) != request.bands else []),
        *_not_used([f"{scene.id}: {scene.quarantine}" for scene in plan.quarantined]),
        *_base_lines(prepared.config.output.base),
        *_model_lines(prepared),
    ]


def _base_lines(base: str | None) -> list[str]:
    return [] if base is None else [f"copied from {redacted(base)} where it is made of the same, and not scanned"]


def _model_lines(prepared: Prepared | Foreseen) -> list[str]:
    """What is to be known of the model; of one that is not there, what was taken in its place."""
    if isinstance(prepared, Foreseen):
        side, bands = prepared.survey.plan.patches.patch, ", ".join(prepared.bands)
        return [f"no checkpoint: planned for one with bands {bands} and patches of {side} px (--bands, predict.patch)"]
    model = prepared.model
    if isinstance(model, NoModel):
        return ["model: none; no probability will be made"]
    side, halo = model.patches.patch, model.patches.halo
    return [
        f"patches of {side} px, overlap {halo} px, precision {model.precision}",
        *([f"caveat: {model.caveat}"] if model.caveat else []),
        *([f"not known: {model.unknown}"] if model.unknown else []),
    ]


def _zone_line(plan: Plan, lattice: Lattice, box: PixelBox) -> str:
    count = sum(unit.lattice == lattice for unit in plan.units)
    return f"{lattice.zone.group}: {count} units of {lattice.block} px at {lattice.resolution} m, box {box.shape}"


def _window_line(plan: Plan, layer: int) -> str:
    window = plan.windows[layer]
    scenes = [sum(span.holds(scene.sensed) for scene in plan.scenes) for span in window.spans]
    by_year = f" ({' + '.join(map(str, scenes))})" if len(scenes) > 1 else ""
    empty = ", its layer stays empty" if layer in plan.unseen else ""
    units = [unit for unit in plan.units if unit.layer == layer]
    without = sum(not unit.scenes for unit in units)
    bare = f", {without / len(units):.1%} of its units without any" if without and not empty else ""
    return f"{window.days}: {sum(scenes)} scenes{by_year}{bare}{empty}"


def _not_used(scenes: Sequence[str]) -> list[str]:
    """Some of the scenes that are not used, with the reason of each, and how many there are."""
    more = [f"not used: {len(scenes)} scenes in all"] if len(scenes) > NAMED_SCENES else []
    return [*(f"not used: scene {one}" for one in scenes[:NAMED_SCENES]), *more]


def _catalogue_lines(prepared: Prepared | Foreseen) -> list[str]:
    """What of the catalogue's answer is left out by a setting."""
    items, config = prepared.survey.items, prepared.config.catalog
    keys = keys_against(items, config)
    return [f"left out: {count} of {len(items)} scenes found, by {key}" for key, count in sorted(keys.items())]


def _region_line(survey: Survey, *, predicted: bool) -> str:
    plan = survey.plan
    return (
        f"region {survey.request.km2:,.1f} km2, {len(plan.units)} units, "
        f"{f'{plan.patch_count:,} patches, ' if predicted else ''}"
        f"{survey.bytes_to_read / 1e9:.2f} GB of pixels to read (uncompressed)"
    )


def _kept_lines(bands: Sequence[str], plan: Plan) -> list[str]:
    """What it takes to keep bands of the composite, where any are kept."""
    most = plan.bytes_to_keep(len(bands)) / 1e9
    return [f"kept of the composite: {', '.join(bands)}, at most {most:.2f} GB (uncompressed)"] if bands else []


def _memory_line(request: Request, plan: Plan, kept: int) -> str:
    most = max(reader_bytes(lattice, plan.patches, request.composite, request.bands, kept) for lattice in plan.extents)
    return f"at most {most / 1e9:.1f} GB of memory for each reader, however many scenes there are"


def _elevation_line(plan: Plan) -> str:
    without = sum(bool(unit.scenes) and not unit.dem for unit in plan.units)
    return (
        f"elevation: {len(plan.dem)} tiles, at most {plan.dem_bytes_to_read() / 1e9:.2f} GB to read (uncompressed); "
        f"{without} units with scenes reach none"
    )


def scan_report(summary: ScanSummary) -> str:
    """How a scan ended, in a few lines."""
    lines = [
        f"{summary.written} units written, {summary.empty} empty, {summary.failed} failed of {summary.units}",
        *_area_lines(summary),
        *([f"taken over from an earlier run: {counted(summary.taken, 'unit')}"] if summary.taken else []),
        *persistent_lines({days: one.persistent_km2 for days, one in summary.windows.items()}),
        *_failures(summary.errors),
        *_not_used(summary.quarantined),
        *(f"no scene from {window}: its layer is empty" for window in summary.unseen),
        *([_shortage(summary.shortage)] if summary.shortage else []),
        *([f"caveat: {summary.caveat}"] if summary.caveat else []),
        *([f"not known: {summary.unknown}"] if summary.unknown else []),
        f"run: {summary.run}",
    ]
    return "\n".join(lines)


def _area_lines(summary: ScanSummary) -> list[str]:
    """Ground and landslides of each window; over windows, what was seen at least once."""
    seen = _share(summary.observed_km2, summary.km2)
    if len(summary.windows) == 1:
        return [f"{summary.km2:,.1f} km2 scanned, {seen} observed; {summary.area_line}"]
    assumed = assumption(summary.area, fair_share=summary.fair_share)
    return [
        f"{summary.km2:,.1f} km2 scanned in {len(summary.windows)} windows, {seen} observed in at least one",
        *(f"{days}: {_window_areas(one, summary.area)}" for days, one in summary.windows.items()),
        f"expected landslides: {assumed}" if summary.learned else summary.area_line,
    ]


def _window_areas(one: Areas, area: AreaRatio | None) -> str:
    seen = f"{_share(one.observed_km2, one.km2)} observed"
    if one.landslide_km2 is None:
        return seen
    around = "" if area is None else " ({:,.2f} to {:,.2f})".format(*area.around(one.landslide_km2))
    return f"{seen}; expected landslides {one.landslide_km2:,.2f} km2{around}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole if whole else 0.0:.1%}"


def _shortage(lacking: str) -> str:
    return (
        f"{lacking}. So many are not set aside: if their host is at fault, go on with --resume when it answers; "
        "catalog.exclude leaves scenes out on purpose, catalog.max_bad says how many may be bad"
    )


def _failures(errors: Sequence[str]) -> list[str]:
    """Units by what failed them: one missing asset fails every unit that needs it."""
    units: dict[str, list[str]] = {}
    for error in errors:
        unit, _, text = error.partition(": ")
        units.setdefault(re.sub(rf"unit {re.escape(unit)}(, |: )", "", text), []).append(unit)
    return [f"failed {_few(of)}: {text}" for text, of in list(units.items())[:NAMED_FAILURES]]


def _few(units: Sequence[str]) -> str:
    """Some of the units by name, and how many there are."""
    more = ["..."] if len(units) > NAMED_UNITS else []
    return f"{len(units)} units ({', '.join([*units[:NAMED_UNITS], *more])})" if len(units) > 1 else units[0]


def verify_report(verdict: Verdict) -> str:
    """What is wrong with a cube, by unit and by file."""
    files = [f"{finding.of}: {finding.problem}" for finding in verdict.files]
    findings = [f"{finding.of}: {finding.problem}" for finding in verdict.findings]
    strays = [f"{name}: stored, but of no unit; delete it" for name in verdict.strays]
    wrong = files + findings + strays
    more = [f"... and {len(wrong) - NAMED_FINDINGS} more"] if len(wrong) > NAMED_FINDINGS else []
    left = verdict.units - sum(finding.of != RUN for finding in verdict.findings)
    whole = f"{left} of {verdict.units} units are stored as they were written"
    cure = ["scan --resume redoes them"] if findings or files else []
    return "\n".join([*wrong[:NAMED_FINDINGS], *more, f"{whole}; {verdict.bytes / 1e6:,.1f} MB hashed", *cure])
