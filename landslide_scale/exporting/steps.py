"""Which products there are of a scan, in the order they are made in, and what makes each."""

from __future__ import annotations

from landslide_scale.exporting.product import Product
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.products.scanned import Scanned
from landslide_scale.storage.rundir import RunDirectory


def steps(of: Scanned, settings: ExportSettings, target: RunDirectory) -> list[Product]:  # noqa: ARG001 wired below
    """All products, each after those it reads.

    Args:
        of: The scan.
        settings: What they depend on.
        target: Where those lie that others read.
    """
    return []
