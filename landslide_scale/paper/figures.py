"""Pictures of the paper's Figures 2 to 4: each model's errors side by side, and F1 over trainable parameters."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from landslide_scale.label_values import IGNORE, LANDSLIDE
from landslide_scale.paper.published import SIZES
from landslide_scale.paper.sheets import Table

_HIT, _FALSE, _MISSED = (0.95, 0.95, 0.95), (0.90, 0.35, 0.05), (0.20, 0.45, 0.95)
_IGNORED = (0.45, 0.45, 0.45)
_PRINTED = "0.35"
_PANEL = 1.55  # inches
_HEAD = 18  # characters of its title on a line
_MILLIONS = (2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One image of a comparison picture.

    Attributes:
        name: Of the image.
        image: uint8 (H, W, 3), as a reader would see it.
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        masks: bool (H, W) by model, True where it finds a landslide.
    """

    name: str
    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    masks: Mapping[str, NDArray[np.bool_]]


def comparison(examples: Sequence[Example], title: str) -> bytes:
    """A PNG with a row per image: the image, its label, and every model's hits, false alarms and misses."""
    models = list(examples[0].masks)
    figure = Figure(figsize=(_PANEL * (2 + len(models)), _PANEL * len(examples) + 0.9), layout="constrained")
    axes = figure.subplots(len(examples), 2 + len(models), squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        panels = [example.image, _label(example.label)]
        panels += [errors(mask, example.label) for mask in example.masks.values()]
        for axis, panel in zip(row, panels, strict=True):
            axis.imshow(panel, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(example.name.rsplit("/", 1)[-1], fontsize=7)
    for axis, head in zip(axes[0], ["image", "label", *models], strict=True):
        axis.set_title(textwrap.fill(head, _HEAD), fontsize=8)
    figure.suptitle(title, fontsize=9)
    shown = (("found", _HIT), ("false alarm", _FALSE), ("missed", _MISSED), ("ignored", _IGNORED))
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor="black", label=text) for text, colour in shown],
        loc="outside lower center",
        ncols=len(shown),
        fontsize=7,
    )
    return _png(figure)


def _label(label: NDArray[np.uint8]) -> NDArray[np.float64]:
    return errors(label == LANDSLIDE, label)


def errors(mask: NDArray[np.bool_], label: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colours (H, W, 3), 0 to 1: found landslides light, false alarms orange, missed ones blue, the rest black."""
    panel = np.zeros((*label.shape, 3))
    truth, ignored = label == LANDSLIDE, label == IGNORE
    panel[mask & truth] = _HIT
    panel[mask & ~truth] = _FALSE
    panel[~mask & truth] = _MISSED
    panel[ignored] = _IGNORED
    return panel


def sizes_figure(table: Table) -> bytes:
    """The paper's Figure 4 from the table of sizes: mean macro F1 over trainable parameters, ours and the paper's."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for record in table.records():
        trainable, *scores = (record[key] for key in ("trainable M", "mF1 %", "mF1 % least seed", "mF1 % most seed"))
        if trainable is not None and None not in scores:
            mean, least, most = (float(str(score)) for score in scores)
            bars = [[mean - least], [most - mean]]
            axis.errorbar(float(str(trainable)), mean, yerr=bars, fmt="o", capsize=3, label=str(record["Model"]))
    for name, printed in SIZES.items():
        point = printed.trainable, printed.mf1
        axis.plot(*point, "x", color=_PRINTED)
        axis.annotate(name, point, xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7, color=_PRINTED)
    axis.set(xscale="log", xlim=(2, 200), xlabel="trainable parameters (millions)", ylabel="mean macro F1 (%)")
    axis.set_xticks(_MILLIONS, [str(tick) for tick in _MILLIONS])
    axis.minorticks_off()
    axis.set_title("Figure 4. circles: this run, bars its seeds; crosses: the paper's figures", fontsize=9)
    axis.grid(visible=True, alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
        figure.legend(
            loc="outside lower center", ncols=3, fontsize=7
        )  # models of one size would hide each other's names
    return _png(figure)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def shown(image: NDArray[np.float32], bands: Sequence[str]) -> NDArray[np.uint8]:
    """An image (C, H, W) in any radiometry as a reader would see it: red, green, blue, or its first band as grey.

    Each band is stretched from its 2nd to its 98th percentile; no data is black.
    """
    wanted = [bands.index(band) for band in ("red", "green", "blue") if band in bands]
    picked = image[wanted] if len(wanted) == 3 else np.repeat(image[:1], 3, axis=0)  # noqa: PLR2004 three colours
    return np.stack([_stretched(band) for band in picked], axis=-1)


def _stretched(band: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = band[np.isfinite(band)]
    low, high = np.percentile(known, (2, 98)) if known.size else (0.0, 1.0)
    scaled = (band - low) / (high - low if high > low and not math.isclose(high, low) else 1.0)
    return (np.nan_to_num(np.clip(scaled, 0, 1)) * 255).astype(np.uint8)
