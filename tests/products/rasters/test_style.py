"""What lies beside a raster, as QGIS and GDAL read it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import rasterio
import rasterio.shutil

from landslide_scale.bands import Reason
from landslide_scale.grid import Lattice
from landslide_scale.products.classes import REASONS
from landslide_scale.products.rasters.cog import write_raster
from landslide_scale.products.rasters.style import NAMES_ENDING, class_names, style
from landslide_scale.products.scanned import Scanned


def read(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 our own


def items(text: str, name: str) -> list[dict[str, str]]:
    return [element.attrib for element in read(text).iter(name)]


def test_every_reason_has_a_name_and_a_colour_of_its_own():
    assert set(REASONS) == set(Reason)
    assert len({shown.colour for shown in REASONS.values()}) == len({shown.words for shown in REASONS.values()}) == 12


def test_the_style_of_reasons_names_every_class(cube: Scanned):
    entries = items(style(cube, "reason"), "paletteEntry")
    assert {int(entry["value"]): entry["label"] for entry in entries} == {
        int(code): shown.words for code, shown in REASONS.items()
    }
    assert [entry["value"] for entry in entries if entry["alpha"] == "0"] == [str(int(Reason.NOT_SCANNED))]


def test_probability_is_clear_below_half_of_the_threshold_and_whole_from_it_on(cube: Scanned):
    shades = {float(item["value"]): int(item["alpha"]) for item in items(style(cube, "probability"), "item")}
    assert min(shades) == cube.threshold / 2  # below the first of them, the ramp is as there
    assert shades[cube.threshold / 2] == 0
    assert {alpha for value, alpha in shades.items() if value >= cube.threshold} == {255}
    assert max(shades) == 1
    assert list(shades) == sorted(shades)


def test_days_are_labelled_as_dates_of_all_windows(cube: Scanned):
    found = items(style(cube, "observed_on"), "item")
    assert (found[0]["label"], found[-1]["label"]) == ("2023-06-01", "2023-08-01")
    for item in found:
        assert date(1970, 1, 1) + timedelta(days=int(item["value"])) == date.fromisoformat(item["label"])


@pytest.mark.parametrize("name", ["probability", "clear_count", "observed_on", "reason"])
def test_a_style_is_of_one_renderer_of_the_one_band(cube: Scanned, name: str):
    root = read(style(cube, name))
    assert root.tag == "qgis"
    assert [one.get("band") for one in root.iter("rasterrenderer")] == ["1"]


def test_names_and_colours_of_classes_are_found_by_gdal(cube: Scanned, lattice: Lattice, tmp_path: Path):
    path = tmp_path / "reason.tif"
    write_raster(cube, lattice, 1, "reason", path)
    names = class_names("reason")
    assert names is not None
    Path(f"{path}{NAMES_ENDING}").write_text(names, encoding="utf-8")
    with rasterio.open(path) as source:
        colours = source.colormap(1)
    assert {code: colours[code][:3] for code in range(12)} == {int(code): one.colour for code, one in REASONS.items()}
    rasterio.shutil.copy(path, tmp_path / "seen.vrt", driver="VRT")  # which writes down all that GDAL knows
    seen = read((tmp_path / "seen.vrt").read_text(encoding="utf-8"))
    assert [one.text for one in seen.iter("Category")] == [REASONS[Reason(code)].words for code in range(12)]


def test_what_is_a_number_has_no_names_of_classes():
    assert class_names("probability") is None
