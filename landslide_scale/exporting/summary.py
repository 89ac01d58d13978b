"""What a person sees of an export, and of the verification of products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from landslide_scale.exporting.engine import Progress
from landslide_scale.exporting.run import ExportSummary
from landslide_scale.exporting.verify import ProductsVerdict
from landslide_scale.runtime.progress import Line, duration

NAMED_FINDINGS = 100
NAMED_UNITS = 3


_NEARLY = 0.99
"""All is done only once the last product lies in its place."""


class ExportProgress:
    """Products done, pixels gone over, what is made, and time left; called with every :class:`Progress`.

    Args:
        stream: Where it is said.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._line = Line(stream)

    def __call__(self, progress: Progress) -> None:
        """Say it, where it is time to."""
        done, total, text = progress.done, progress.total, f"{progress.done}/{progress.total} products"
        if not progress.current:
            self._line(done, total, text)
            return
        left = "" if progress.left_s is None else f", {duration(progress.left_s)} left"
        share = min(progress.share, _NEARLY)
        self._line(share * total, total, f"{text}, {share:.0%} of the pixels{left}, {progress.current}")


def export_report(summary: ExportSummary) -> str:
    """How an export ended, in a few lines."""
    outcome = summary.outcome
    size = sum(known.bytes for known in outcome.files.values())
    lines = [
        f"{len(outcome.made)} products made, {len(outcome.kept)} kept as they were; {size / 1e6:,.1f} MB in all",
        *(f"removed, for it is no longer made: {name}" for name in outcome.removed[:NAMED_FINDINGS]),
        *(f"not made: {why}" for why in outcome.left_out.values()),
        *(f"{name}: {what}; the same command tries again" for name, what in outcome.lacking.items()),
        *([_missing(summary.missing, summary.units)] if summary.missing else []),
        f"products: {summary.place}",
    ]
    return "\n".join(lines)


def _missing(missing: Sequence[str], units: int) -> str:
    more = ["..."] if len(missing) > NAMED_UNITS else []
    return (
        f"missing: {len(missing)} of {units} units, whose ground is not in the products "
        f"({', '.join([*missing[:NAMED_UNITS], *more])}); scan --resume tries them again"
    )


def products_report(verdict: ProductsVerdict) -> str:
    """What is wrong with products, by file."""
    wrong = [f"{finding.of}: {finding.problem}" for finding in verdict.findings]
    more = [f"... and {len(wrong) - NAMED_FINDINGS} more"] if len(wrong) > NAMED_FINDINGS else []
    whole = f"{verdict.sound} of {verdict.files} files of products are as they were made"
    cure = ["export makes anew what is missing, changed or stale"] if wrong else []
    return "\n".join([*wrong[:NAMED_FINDINGS], *more, f"{whole}; {verdict.bytes / 1e6:,.1f} MB hashed", *cure])
