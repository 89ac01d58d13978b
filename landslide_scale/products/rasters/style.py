"""What lies beside a raster: its style for QGIS (``.qml``), and the names of its classes as GDAL looks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, timedelta
from xml.etree import ElementTree as ET

from landslide_scale.bands import Reason
from landslide_scale.products.classes import REASONS, Colour, Shown, white
from landslide_scale.products.plane import Plane, Stop
from landslide_scale.products.scanned import Scanned

NAMES_ENDING = ".aux.xml"
"""Of the file with the names of a raster's classes, after the raster's own whole name."""

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_FIRST_DAY = date(1970, 1, 1)
_MANY_LOOKS = 10

_HEAT: tuple[Colour, ...] = ((254, 204, 92), (253, 141, 60), (240, 59, 32), (189, 0, 38))
"""The four darkest of ColorBrewer's YlOrRd in five classes, which it lists as safe for colour-blind readers."""

_BLUES: tuple[Colour, ...] = ((239, 243, 255), (189, 215, 231), (107, 174, 214), (49, 130, 189), (8, 81, 156))
"""ColorBrewer's Blues in five classes, safe alike."""


def style(of: Scanned, variable: str) -> str:
    """A raster's style as QGIS reads it from the file of its name that ends in ``.qml``.

    Probability is clear below half of the checkpoint's threshold and grows darker from there.

    Args:
        of: The scan.
        variable: Of the cube.
    """
    if variable == "reason":
        return _document(_palette(REASONS, {Reason.NOT_SCANNED}))
    stops = _STOPS[variable](of) if variable in _STOPS else _greys(variable)
    return _document(_ramp(stops))


def class_names(variable: str) -> str | None:
    """What goes into the file of a raster's name that ends in :data:`NAMES_ENDING`; None of one without classes."""
    return _names(REASONS) if variable == "reason" else None


def plane_style(plane: Plane) -> str:
    """The style of a raster that is made of two layers."""
    return _document(_palette(plane.classes, ()) if plane.classes else _ramp(plane.stops))


def plane_class_names(plane: Plane) -> str | None:
    """The names of its classes, as :func:`class_names` has them."""
    return _names(plane.classes) if plane.classes else None


def _names(classes: Mapping[int, Shown]) -> str:
    root = ET.Element("PAMDataset")
    names = ET.SubElement(ET.SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for code in range(max(classes) + 1):
        ET.SubElement(names, "Category").text = classes[code].words
    return _text(root)


def _probability(of: Scanned) -> list[Stop]:
    low = of.threshold
    step = (1 - low) / (len(_HEAT) - 1)
    shades = [Stop(low + step * place, colour, f"{low + step * place:.2f}") for place, colour in enumerate(_HEAT)]
    hidden = Stop(low / 2, _HEAT[0], f"{low / 2:.2f} and less: not shown", alpha=0)
    return [hidden, shades[0]._replace(label=f"{low:.2f}: the threshold"), *shades[1:]]


def _looks(_: Scanned) -> list[Stop]:
    last = len(_BLUES) - 1
    values = [1 + round((_MANY_LOOKS - 1) * place / last) for place in range(last + 1)]
    return [Stop(value, colour, f"{value}") for value, colour in zip(values, _BLUES, strict=True)]


def _days(of: Scanned) -> list[Stop]:
    first = min(window.start for window in of.windows).date()
    days, last = (max(window.until for window in of.windows).date() - first).days, len(_BLUES) - 1
    dates = [first + timedelta(days=round(days * place / last)) for place in range(last + 1)]
    return [Stop((day - _FIRST_DAY).days, colour, day.isoformat()) for day, colour in zip(dates, _BLUES, strict=True)]


def _greys(band: str) -> list[Stop]:
    """Of a kept band."""
    return [Stop(0, (0, 0, 0), "0"), Stop(white(band), (255, 255, 255), f"{white(band):g} and more")]


_STOPS: Mapping[str, Callable[[Scanned], list[Stop]]] = {
    "probability": _probability,
    "clear_count": _looks,
    "observed_on": _days,
}


def _ramp(stops: Iterable[Stop]) -> ET.Element:
    known = list(stops)
    low, high = f"{known[0].value:.6g}", f"{known[-1].value:.6g}"
    renderer = ET.Element("rasterrenderer", type="singlebandpseudocolor", band="1", opacity="1", alphaBand="-1")
    renderer.attrib |= {"classificationMin": low, "classificationMax": high}
    ramp = {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"), "colorrampshader", ramp, minimumValue=low, maximumValue=high
    )
    for stop in known:
        item = {"value": f"{stop.value:.6g}", "color": _hexadecimal(stop.colour)}
        ET.SubElement(shader, "item", item, alpha=str(stop.alpha), label=stop.label)
    return renderer


def _palette(classes: Mapping[int, Shown], hidden: Collection[int]) -> ET.Element:
    renderer = ET.Element("rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1")
    palette = ET.SubElement(renderer, "colorPalette")
    for code, shown in classes.items():
        alpha = "0" if code in hidden else "255"
        entry = {"value": str(int(code)), "color": _hexadecimal(shown.colour), "alpha": alpha, "label": shown.words}
        ET.SubElement(palette, "paletteEntry", entry)
    return renderer


def _document(renderer: ET.Element) -> str:
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    pipe.append(renderer)
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")
    return _DOCTYPE + _text(root)


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _hexadecimal(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
