"""A map of how far a run is: its blocks by state and by the share of clear ground."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
import shapely
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from shapely.geometry.base import BaseGeometry

from landslide_scale.cube.record import Record
from landslide_scale.scan.layout import Layout
from landslide_scale.scan.plan import Place

LEFT, EMPTY, FAILED, BROKEN = "#ffffff", "#c9c9c9", "#d62728", "#ff7f0e"
"""Colours of blocks that are no shade of clear ground."""

_COLUMNS = 4
_PANEL = 4.0  # inches
_SHADES = colormaps["YlGnBu"]
_PALEST = 0.15


def as_png(laid: Layout, records: Mapping[str, Record], _: Sequence[str]) -> bytes:
    """The map, one panel for each window, longitude and latitude in degrees."""
    return _saved(_figure(laid, records), "png")


def as_html(laid: Layout, records: Mapping[str, Record], said: Sequence[str]) -> bytes:
    """The map below lines of text, as one page without any reference to elsewhere."""
    drawing = _saved(_figure(laid, records), "svg").decode()
    text = html.escape("\n".join(said))
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Coverage</title>\n'
        f"<pre>{text}</pre>\n{drawing[drawing.index('<svg') :]}\n</html>\n"
    )
    return page.encode()


MAPS = {".png": as_png, ".html": as_html}
"""What draws a map, by the ending of its file's name."""


def _figure(laid: Layout, records: Mapping[str, Record]) -> Figure:
    shapes = [[(part, place) for part in _parts(_ground(place))] for place in laid.places]
    drawn = [pair for pairs in shapes for pair in pairs]
    columns = min(len(laid.windows), _COLUMNS)
    rows = -(-len(laid.windows) // columns)
    stretch, tall = _proportions([part for part, _ in drawn])
    size = (1.6 + _PANEL * columns, 0.8 + (_PANEL * tall + 0.6) * rows)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for layer, (panel, window) in enumerate(zip(axes, laid.windows, strict=False)):
        _draw(panel, [(part, records.get(place.id)) for part, place in drawn if place.layer == layer])
        panel.set_title(window.days, fontsize=9)
        panel.set_aspect(stretch)
        panel.set_xlabel("degrees east", fontsize=8)
    for panel in axes[len(laid.windows) :]:
        panel.set_axis_off()
    axes[0].set_ylabel("degrees north", fontsize=8)
    _legend(figure, axes[: len(laid.windows)])
    return figure


def _proportions(parts: Sequence[shapely.Polygon]) -> tuple[float, float]:
    """How long a degree of latitude is in degrees of longitude, and height over width of the whole, within reason."""
    west, south, east, north = shapely.total_bounds(parts)
    stretch = 1 / max(float(np.cos(np.radians((south + north) / 2))), 0.05)
    return stretch, float(np.clip(stretch * (north - south) / (east - west), 0.3, 2))


def _draw(panel: Axes, shapes: Sequence[tuple[shapely.Polygon, Record | None]]) -> None:
    rings = [np.asarray(part.exterior.coords) for part, _ in shapes]
    colours = [_colour(record) for _, record in shapes]
    panel.add_collection(PolyCollection(rings, facecolors=colours, edgecolors="#555555", linewidths=0.25))
    panel.autoscale_view()
    panel.tick_params(labelsize=7)


def _ground(place: Place) -> BaseGeometry:
    """A block's outline in degrees on the ground its zone owns, in one piece over the antimeridian."""
    return place.lattice.zone.clip(place.lattice.outline(place.box))


def _parts(ground: BaseGeometry) -> list[shapely.Polygon]:
    return [
        part for part in getattr(ground, "geoms", [ground]) if isinstance(part, shapely.Polygon) and not part.is_empty
    ]


def _colour(record: Record | None) -> object:
    if record is None:
        return LEFT
    if record.state == "written":
        return _SHADES(_PALEST + (1 - _PALEST) * record.clear_fraction)
    return {"empty": EMPTY, "failed": FAILED, "broken": BROKEN}[record.state]


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    shades = ListedColormap(_SHADES(np.linspace(_PALEST, 1, 256)))
    bar = figure.colorbar(ScalarMappable(cmap=shades), ax=axes, shrink=0.9, fraction=0.05)
    bar.set_label("share of clear ground", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    named = (("left to do", LEFT), ("nothing observed", EMPTY), ("failed", FAILED), ("broken", BROKEN))
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor="#555555", label=name) for name, colour in named],
        loc="outside lower center",
        ncols=len(named),
        fontsize=8,
        frameon=False,
    )


def _saved(figure: Figure, kind: str) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format=kind)
    return sink.getvalue()
