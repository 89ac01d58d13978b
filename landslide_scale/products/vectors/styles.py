"""How layers look in QGIS, as its own style files (QML) say it.

Fills are a sequence from pale to dark that people who see no red or green tell apart too (ColorBrewer, YlOrRd without
its middle); what was not observed is hatched in grey, so that it never hides an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from landslide_scale.products.landslide import CONFIDENCES

VERSION = "3.22.16"
"""Of QGIS: the oldest in use that this was looked at in."""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """How an area is drawn.

    Attributes:
        colour, outline: Red, green, blue and opacity, each 0 to 255.
        style: QGIS's name: ``solid``, ``no``, ``f_diagonal``, ...
        width: Of the outline, millimetres; 0 for none.
        dashed: Whether the outline is.
    """

    colour: tuple[int, int, int, int]
    outline: tuple[int, int, int, int] = (60, 20, 10, 255)
    style: str = "solid"
    width: float = 0.26
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a layer is drawn.

    Attributes:
        column: By whose values areas are told apart; empty where all look alike.
        fills: By value, in the order of the legend; by the empty text where all look alike.
        choices: Columns that an analyst fills from a list, with what may stand there.
    """

    column: str = ""
    fills: Mapping[str, Fill]
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def qml(self) -> str:
        """As a style file."""
        root = ET.Element("qgis", version=VERSION, styleCategories="Symbology|Fields|Forms")
        kind = "categorizedSymbol" if self.column else "singleSymbol"
        renderer = ET.SubElement(root, "renderer-v2", type=kind, symbollevels="0", enableorderby="0", forceraster="0")
        if self.column:
            renderer.set("attr", self.column)
            categories = ET.SubElement(renderer, "categories")
            for number, value in enumerate(self.fills):
                said = {"symbol": str(number), "value": value, "label": value, "render": "true"}
                ET.SubElement(categories, "category", said)
        symbols = ET.SubElement(renderer, "symbols")
        for number, fill in enumerate(self.fills.values()):
            _symbol(symbols, str(number), fill)
        fields = ET.SubElement(root, "fieldConfiguration")
        for column, values in self.choices.items():
            _choice(fields, column, values)
        ET.SubElement(root, "layerGeometryType").text = "2"
        return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + ET.tostring(root, encoding="unicode")


def _symbol(symbols: ET.Element, name: str, fill: Fill) -> None:
    symbol = ET.SubElement(symbols, "symbol", name=name, type="fill", alpha="1", clip_to_extent="1", force_rhr="0")
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    lined = "no" if not fill.width else "dash" if fill.dashed else "solid"
    options = ET.SubElement(layer, "Option", type="Map")
    for key, value in {
        "color": ",".join(map(str, fill.colour)),
        "joinstyle": "round",
        "outline_color": ",".join(map(str, fill.outline)),
        "outline_style": lined,
        "outline_width": str(fill.width),
        "outline_width_unit": "MM",
        "style": fill.style,
    }.items():
        ET.SubElement(options, "Option", name=key, type="QString", value=value)


def _choice(fields: ET.Element, column: str, values: Sequence[str]) -> None:
    """A list to choose from, where the layer's form asks for a column."""
    widget = ET.SubElement(ET.SubElement(fields, "field", name=column), "editWidget", type="ValueMap")
    config = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
    listed = ET.SubElement(config, "Option", name="map", type="List")
    for value in values:
        one = ET.SubElement(listed, "Option", type="Map")
        ET.SubElement(one, "Option", name=value or "(none)", type="QString", value=value)


_FILLS = ((254, 204, 92, 170), (240, 110, 40, 180), (165, 0, 38, 190))


def landslides(choices: Mapping[str, Sequence[str]]) -> Style:
    """An outline each, filled by confidence; what an analyst says is chosen from lists."""
    fills = {name: Fill(colour=colour) for name, colour in zip(CONFIDENCES, _FILLS, strict=True)}
    return Style(column="confidence", fills=fills, choices=choices)


AREA_OF_INTEREST = Style(
    fills={"": Fill(colour=(0, 0, 0, 0), outline=(20, 20, 20, 255), style="no", width=0.5, dashed=True)}
)
IMAGE_FOOTPRINT = Style(fills={"": Fill(colour=(0, 0, 0, 0), outline=(70, 110, 160, 160), style="no", width=0.2)})
NOT_OBSERVED = Style(fills={"": Fill(colour=(120, 120, 120, 200), style="f_diagonal", width=0)})
EXCLUSION = Style(fills={"": Fill(colour=(40, 120, 200, 200), style="b_diagonal", width=0)})
