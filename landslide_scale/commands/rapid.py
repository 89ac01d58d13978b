"""Follow events and map them."""

from __future__ import annotations

from landslide_scale.commands.arguments import load
from landslide_scale.exporting.run import export_compared
from landslide_scale.rapid.face import RapidAsked
from landslide_scale.rapid.face import run as run_rapid
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.scan.pipeline.engine import scan as run_scan

WORKERS = Workers(scan=run_scan, export=export_compared)
"""By which what follows events scans and exports, without knowing how."""


def rapid(path: str, asked: RapidAsked) -> int:
    """Follow events and map them; exit code 1 where something of it has to be tried again."""
    return run_rapid(load(RapidConfig, path), asked, WORKERS)
