"""The report put together: one file that holds all it shows, and asks no host for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from landslide_scale.bands import Reason
from landslide_scale.products.page import colours
from landslide_scale.products.page.comparison import Comparison
from landslide_scale.products.page.figures import figures
from landslide_scale.products.page.layers import pictured
from landslide_scale.products.page.listing import HEADS, listing
from landslide_scale.products.page.mapped import called, mapped
from landslide_scale.products.page.origin import MOST_NAMED, origin
from landslide_scale.products.page.pick import Row, picked
from landslide_scale.products.page.pictures import png
from landslide_scale.products.passes import passes
from landslide_scale.products.scanned import Scanned
from landslide_scale.storage.files import write_whole

_RESOURCES = files("landslide_scale.products.page") / "resources"


def report(of: Scanned, polygons: Iterable[Row], path: Path, comparison: Comparison | None = None) -> None:
    """Write the report of a scan, whole or not at all.

    Args:
        of: The scan.
        polygons: Its landslides: columns by name, `geometry` among them, as :meth:`Landslide.row` gives them.
        path: Of the page.
        comparison: Two layers that were compared.

    Raises:
        InvalidInputError: A landslide is of no window of the scan, or its ground is beyond Web Mercator.
        BrokenRunError: The page cannot be written.
    """
    write_whole(str(path), page(of, polygons, comparison).encode())


def page(of: Scanned, polygons: Iterable[Row], comparison: Comparison | None = None) -> str:
    """The report of a scan as HTML; the same for the same scan and landslides.

    Raises:
        InvalidInputError: As for :func:`report`.
    """
    found = picked(polygons, [window.days for window in of.windows])
    seen = pictured(of, comparison.planes if comparison else ())
    scripts = [_resource("leaflet/leaflet.js"), _resource("report.js")]
    styles = [_resource("leaflet/leaflet.css"), _resource("report.css")]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_resource("report.html")).render(
        policy=policy(scripts, styles),
        scripts=[Markup(script) for script in scripts],  # noqa: S704 our own files
        styles=[Markup(style) for style in styles],  # noqa: S704 as above
        licence=_resource("leaflet/LICENSE.txt"),
        data=mapped(of, found, seen),
        figures=figures(of, found, seen.km2),
        picked=found,
        heads=HEADS,
        listing=listing(of, found),
        seen=seen,
        shades=_shades(of.threshold) if of.learned else "",
        legend=colours.legend(reason for one in seen.km2 for reason in Reason if one[reason]),
        learned=of.learned,
        called=called(of),
        comparison=comparison,
        threshold=of.threshold if of.learned else None,
        passes=passes(of),
        origin=origin(of),
        most=MOST_NAMED,
    )


def _shades(threshold: float) -> str:
    """Every probability from 0 to 1, as the map shows it."""
    palette = colours.over_ground(threshold)
    return png(np.arange(1, len(palette.colours), dtype=np.uint8)[None], palette)


def policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """A content security policy under which these alone are run and applied, and pictures are data in the page."""
    run, applied = (" ".join(map(_digest, texts)) for texts in (scripts, styles))
    return (
        f"default-src 'none'; img-src data:; script-src {run}; style-src {applied}; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _resource(name: str) -> str:
    return _RESOURCES.joinpath(name).read_text(encoding="utf-8")
