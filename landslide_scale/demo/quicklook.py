"""One picture of a map: what was seen, what the model made of it, and where it was wrong."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

MADE_TITLE = "made world, encoder not pretrained"
LARGEST_BYTES = 900_000
_LARGEST_SIDE = 1400  # pixels of a panel's raster; larger maps are thinned
_WHITE, _GAMMA = 0.25, 0.65
_UNSEEN = (0.62, 0.62, 0.62)
_HIT, _FALSE, _MISSED = (0.10, 0.55, 0.25), (0.93, 0.58, 0.05), (0.80, 0.10, 0.55)

Values = NDArray[np.float32]


def save_quicklook(
    path: Path,
    rgb: Values,
    probability: Values,
    *,
    threshold: float,
    truth: NDArray[np.bool_] | None = None,
    title: str = MADE_TITLE,
) -> None:
    """Write a PNG below `LARGEST_BYTES`: scene, probability and, where there is a truth, errors, side by side.

    Args:
        path: Of the PNG; its folder must exist.
        rgb: (H, W, 3) float32 surface reflectance, red, green, blue; NaN where nothing was observed.
        probability: (H, W) float32, 0 to 1; NaN where nothing was observed, drawn grey and hatched.
        threshold: Probability from which a pixel counts as landslide.
        truth: (H, W), True on landslide; its outlines are drawn on the scene. None: no truth, no panel of errors.
        title: Above the picture; say in it what the map must not be taken for.
    """
    step = -(-max(probability.shape) // _LARGEST_SIDE)
    rgb, probability = rgb[::step, ::step], probability[::step, ::step]
    truth = None if truth is None else truth[::step, ::step]
    figure = _figure(probability.shape, 2 if truth is None else 3, title)
    axes = list(figure.axes)
    axes[0].imshow(stretched(rgb), interpolation="nearest")
    axes[0].set_title("scene" if truth is None else "scene, outlines of the true landslides", fontsize=9)
    _draw_probability(figure, axes[1], probability)
    if truth is not None:
        axes[0].contour(truth, levels=[0.5], colors=["#ffe400"], linewidths=0.5)
        _draw_errors(axes[2], probability, truth, threshold)
    _save(figure, path)


def stretched(rgb: Values) -> Values:
    """Reflectance to display values 0 to 1 with a gamma that opens the dark forests; grey where NaN."""
    shown = np.clip(rgb / _WHITE, 0, 1) ** _GAMMA
    return np.where(np.isnan(rgb).any(axis=2, keepdims=True), np.array(_UNSEEN, dtype=np.float32), shown).astype(
        np.float32
    )


def _figure(shape: tuple[int, ...], panels: int, title: str) -> Figure:
    height = 5.2
    figure = Figure(figsize=(max(6.0, panels * height * shape[1] / shape[0] + 1.0), height + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    for panel in figure.subplots(1, panels):
        panel.set_xticks([])
        panel.set_yticks([])
    return figure


def _draw_probability(figure: Figure, axes: Any, probability: Values) -> None:  # noqa: ANN401  (matplotlib is untyped)
    unseen = np.isnan(probability)
    colours = colormaps["viridis"].with_extremes(bad=_UNSEEN)
    image = axes.imshow(np.ma.masked_array(probability, unseen), cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    if unseen.any():
        axes.contourf(unseen, levels=[0.5, 1.5], colors="none", hatches=["////"])
        axes.legend(
            handles=[Patch(facecolor=_UNSEEN, hatch="////", label="not observed")], loc="lower left", fontsize=7
        )
    axes.set_title("landslide probability", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.75, pad=0.01)


def _draw_errors(axes: Any, probability: Values, truth: NDArray[np.bool_], threshold: float) -> None:  # noqa: ANN401
    found = probability >= threshold  # NaN is never found
    seen = ~np.isnan(probability)
    picture = np.full((*truth.shape, 3), 0.96, dtype=np.float32)
    parts = (
        (~seen, _UNSEEN, "not observed"),
        (found & truth, _HIT, "found"),
        (found & ~truth, _FALSE, "false alarm"),
        (seen & ~found & truth, _MISSED, "missed"),
    )
    for mask, colour, _ in parts:
        picture[mask] = colour
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(f"against the truth, threshold {threshold:.2f}", fontsize=9)
    axes.legend(handles=[Patch(color=colour, label=name) for _, colour, name in parts], loc="lower left", fontsize=7)


def _save(figure: Figure, path: Path) -> None:
    """Shrunk until the file is below its limit; a palette would merge the few pixels of an error into other colours."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    picture = Image.open(drawn).convert("RGB")
    packed = _packed(picture)
    while len(packed) >= LARGEST_BYTES:
        factor = 0.95 * (LARGEST_BYTES / len(packed)) ** 0.5
        picture = picture.resize((round(picture.width * factor), round(picture.height * factor)), _SMOOTH)
        packed = _packed(picture)
    path.write_bytes(packed)


def _packed(picture: Image.Image) -> bytes:
    packed = io.BytesIO()
    picture.save(packed, format="PNG", optimize=True)
    return packed.getvalue()


_DPI = 130
_SMOOTH = Image.Resampling.LANCZOS
