"""Make the products of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from landslide_scale.commands.arguments import INCOMPLETE, RUN_DIR, given, load
from landslide_scale.errors import InvalidConfigError
from landslide_scale.exporting.engine import in_order
from landslide_scale.exporting.on_ray import on_ray as export_on_ray
from landslide_scale.exporting.run import export as run_export
from landslide_scale.exporting.settings import ExportSettings, layers_told
from landslide_scale.exporting.summary import ExportProgress, export_report
from landslide_scale.paths import expanded, in_submitted_job, input_place, output_place
from landslide_scale.products import names
from landslide_scale.products.change.settings import LEAST_SLOPE_DEG, LOSS, Change
from landslide_scale.products.change.settings import change_told as layers_compared
from landslide_scale.products.outlines.wanted import LEAST_AREA_M2
from landslide_scale.runtime.console import say
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.storage.rundir import RunDirectory


def change_told(
    layers: str | None, loss: float | None, least_slope: float | None, earlier: str | None, *, finished: bool
) -> Change | None:
    """Which layers an export compares, and how."""
    if layers is None:
        if finished or any(one is not None for one in (loss, least_slope, earlier)):
            raise InvalidConfigError("an option of --change alone", expected="--change BEFORE,AFTER", key="--change")
        return None
    before, after = layers_compared(layers)
    return Change(
        before=before,
        after=after,
        loss=LOSS if loss is None else loss,
        least_slope_deg=LEAST_SLOPE_DEG if least_slope is None else least_slope,
        finished=finished,
        earlier=None if earlier is None else given(earlier, expanded, "--earlier"),
    )


def export(
    url: str,
    to: str | None,
    *,
    only: str,
    threshold: float | None,
    min_area: float | None,
    layers: Sequence[str],
    change: Change | None = None,
    config: str | None = None,
) -> int:
    """Make the products of a scan; exit code 3 where units of it are missing."""
    told = {name: given(file, input_place, "--layer") for name, file in layers_told(layers).items()}
    place = None if to is None else given(to, output_place, "--to")
    settings = ExportSettings(
        to=place,
        only=tuple(name.strip() for name in only.split(",")) if only else names.KINDS,
        threshold=threshold,
        min_area_m2=LEAST_AREA_M2 if min_area is None else min_area,
        layers=told,
        change=change,
        dem=None if config is None else load(ScanConfig, config).dem,
    )
    run = RunDirectory(given(url, expanded if to else output_place, RUN_DIR))
    # A job is begun where there is a cluster; for anything else one would have to be started.
    engine = export_on_ray(None, place or run.at(names.FOLDER)) if in_submitted_job() else nullcontext(in_order)
    with engine as each:
        summary = run_export(run, settings, progress=ExportProgress(), each=each)
    say(export_report(summary))
    return 0 if summary.complete else INCOMPLETE
