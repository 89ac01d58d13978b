"""The heavy work of a cycle on a Ray cluster. Wiring, and nothing else."""

from __future__ import annotations

import logging

from landslide_scale.exporting.run import export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.rapid.mapping import Workers
from landslide_scale.scan.driver import Rank
from landslide_scale.scan.pipeline.engine import scan
from landslide_scale.scan.rounds import Progress
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scan.summary import ScanSummary
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)

_TENTHS = 10


def on_ray() -> Workers:
    """Scans on the cluster that the configuration names; products in this process."""
    return Workers(scan=_scan, export=_export)


def _scan(config: ScanConfig, *, resume: bool, rank: Rank) -> ScanSummary:
    return scan(config, resume=resume, progress=_say, rank=rank)


def _export(run: RunDirectory, settings: ExportSettings) -> None:
    export(run, settings, progress=lambda _: None)


def _say(done: Progress) -> None:
    """Say it for each tenth."""
    if done.done * _TENTHS // done.total != (done.done - 1) * _TENTHS // done.total:
        log.info("%d of %d blocks, %.0f km2", done.done, done.total, done.km2)
