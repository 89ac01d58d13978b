"""Scan a region, and add windows to a scan."""

from __future__ import annotations

from landslide_scale.commands.arguments import INCOMPLETE, given, load
from landslide_scale.paths import input_place
from landslide_scale.reports.progress import ScanProgress
from landslide_scale.reports.scans import scan_report
from landslide_scale.runtime.console import say
from landslide_scale.scan.pipeline.engine import append as append_windows
from landslide_scale.scan.pipeline.engine import scan as run_scan
from landslide_scale.scan.settings import ScanConfig


def scan(path: str, *, resume: bool, check: bool = False, base: str | None = None) -> int:
    """Run a scan; exit code 3 where units failed."""
    wanted = _scan_config(path, base)
    summary = run_scan(wanted, resume=resume, check=check, progress=ScanProgress())
    say(scan_report(summary))
    return 0 if summary.complete else INCOMPLETE


def append(path: str, *, base: str | None = None) -> int:
    """Add windows to a complete scan; exit code 3 where units failed."""
    wanted = _scan_config(path, base)
    summary = append_windows(wanted, progress=ScanProgress())
    say(scan_report(summary))
    return 0 if summary.complete else INCOMPLETE


def _scan_config(path: str, base: str | None) -> ScanConfig:
    """The configuration in a file; what is taken over, from where the command line says so."""
    wanted = load(ScanConfig, path)
    if base is None:
        return wanted
    return wanted.model_copy(
        update={"output": wanted.output.model_copy(update={"base": given(base, input_place, "--base")})}
    )
