"""What the report says, and that nothing of the data becomes a part of the page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import shapely
from helpers.cubes import AFTER, SCENE, Made
from helpers.reported import HOW, landslide, paint, run_of

from landslide_scale.errors import InvalidInputError
from landslide_scale.products.bits import Advisory, Exclusion
from landslide_scale.products.landslide import COLUMNS, GEOMETRY
from landslide_scale.products.page import card, pick, pictures
from landslide_scale.products.page.pick import picked
from landslide_scale.products.page.report import page, report
from landslide_scale.products.passes import passes_of
from landslide_scale.products.scanned import Scanned, scanned

HOSTILE = "</script><img src=x onerror=alert(1)>&amp;'\""


class Read(HTMLParser):
    """A page's elements, its scripts and styles, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.text, self.within = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.inside:
            self.inside[tag].append("")
            self.within = tag

    def handle_endtag(self, tag: str) -> None:
        self.within = "" if tag == self.within else self.within

    def handle_data(self, data: str) -> None:
        if self.within:
            self.inside[self.within][-1] += data
        else:
            self.text += data

    @property
    def data(self) -> Any:  # noqa: ANN401 JSON
        return json.loads(self.inside["script"][0])

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def cells(self, table: str, of: str) -> dict[str, list[str]]:
        part = of[of.index(f'<table id="{table}">') :].partition("</table>")[0]
        rows = re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
        return {row[0]: row[1:] for row in cells}


@pytest.fixture(scope="module")
def plain(scan: Scanned, rows: list[dict[str, Any]]) -> str:
    return page(scan, rows)


def test_it_is_written_whole_and_the_same_again(scan: Scanned, rows: list[dict[str, Any]], plain: str, tmp_path: Path):
    report(scan, iter(rows), tmp_path / "products" / "report.html")
    assert (tmp_path / "products" / "report.html").read_bytes() == plain.encode()
    assert len(list((tmp_path / "products").iterdir())) == 1


def test_nothing_in_it_is_an_address_of_elsewhere(plain: str):
    read = Read(plain)
    addresses = [
        str(value)
        for _, said in read.elements
        for name, value in said.items()
        if name in {"src", "href", "srcset", "data", "action", "poster"}
    ]
    assert addresses
    assert all(one.startswith("data:") for one in addresses)
    assert "url(" not in "".join(read.inside["style"])
    assert not re.search(r"@import|sourceMappingURL", plain)
    assert all(layer["address"].startswith("data:image/png") for layer in read.data["layers"])
    assert not any(name.startswith("on") or name == "style" for _, said in read.elements for name in said)


def test_its_policy_allows_its_own_scripts_and_styles_alone(plain: str):
    read = Read(plain)
    (stated,) = [said["content"] for tag, said in read.elements if said.get("http-equiv") == "Content-Security-Policy"]
    assert stated is not None
    parts = {part.split()[0]: part.split()[1:] for part in stated.split(";")}
    assert parts["default-src"] == ["'none'"]
    assert parts["img-src"] == ["data:"]
    for name, texts in (("script-src", read.inside["script"][1:]), ("style-src", read.inside["style"])):
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert parts[name] == [f"'sha256-{digest}'" for digest in digests]


def test_it_says_what_it_is(plain: str):
    words = Read(plain).words
    assert "Preliminary, not field-validated." in words
    assert "10 m of ground a pixel" in words
    assert "not known: the checkpoint keeps no areas" in words
    assert "made; pixels agree (made)" in words
    assert "0" * 64 in words
    assert "Copyright (c) 2010-2023, Volodymyr Agafonkin" in words
    assert "the run keeps no catalogue Items" in words
    assert "units of the scan are missing" not in words


def test_hostile_words_stay_words(tmp_path: Path):
    scene = {**SCENE, "id": HOSTILE, "rule": HOSTILE}
    how = Made(block=64, chunk=64, region=HOW.region, scenes=(scene,), attributes={"caveat": HOSTILE})
    run = run_of(tmp_path / "scan", how)
    run.note(quarantined={f"other {HOSTILE}": HOSTILE})
    of = scanned(run)
    said = dict.fromkeys(("touches", "verdict", "reviewer", "confidence", "status", "scene_ids"), HOSTILE)
    text = page(of, [landslide(of, 0, id=HOSTILE, **said)])
    read, usual = Read(text), Read(page(of, [landslide(of, 0)]))
    tags = [Counter(tag for tag, _ in one.elements) for one in (read, usual)]
    assert tags[0] == tags[1]
    assert {name for _, attributes in read.elements for name in attributes} == {
        name for _, attributes in usual.elements for name in attributes
    }
    assert read.data["landslides"][0]["id"] == HOSTILE
    assert dict(read.data["landslides"][0]["card"])["verdict"] == HOSTILE
    assert read.text.count(HOSTILE) >= 6
    assert "<img src=x" not in text


def test_figures_are_the_sums_of_the_ledger(scan: Scanned, rows: list[dict[str, Any]], plain: str):
    figures = Read(plain).cells("figures", plain)
    for layer in range(2):
        records = [scan.records[place.id] for place in scan.done if place.layer == layer]
        seen = sum(one.km2 * one.clear_fraction for one in records)
        assert figures["area scanned, km²"][layer] == f"{sum(one.km2 for one in records):,.1f}"
        assert figures["area observed, km²"][layer].startswith(f"{seen:,.1f} (")
        expected = sum(one.landslide_km2 for one in records)
        assert expected > 0.5
        assert figures["landslides expected on observed ground, km²"][layer] == f"{expected:,.2f}"
    assert figures["landslides mapped"] == ["0", "5"]
    assert figures["their area, km²"] == ["0.000", f"{sum(row['area_m2'] for row in rows) / 1e6:,.3f}"]
    assert figures["smallest of them, m²"] == ["none", "1,600"]
    assert figures["log10 of their number"] == ["none", "0.70"]
    assert float(figures["area asked for, km²"][0]) == pytest.approx(1.8, abs=0.1)


def test_the_range_is_that_of_the_checkpoints_validation(tmp_path: Path):
    run = run_of(tmp_path / "scan")
    run.note(area={"low": 0.5, "mid": 1.0, "high": 2.0, "places": 7}, region_km2=1234.5)
    of = scanned(run)
    text = page(of, [])
    figures = Read(text).cells("figures", text)
    expected = float(figures["landslides expected on observed ground, km²"][0])
    low, high = map(float, figures["range of that (5 to 95 %), km²"][0].split(" to "))
    assert (low, high) == pytest.approx((expected / 2, expected * 2), abs=0.02)
    assert figures["area asked for, km²"][0] == "1,234.5"
    assert "Of its range: if this ground is like the validation's 7 places" in Read(text).words


def test_what_clouds_hide_is_said_in_km2(scan: Scanned, plain: str):
    hidden = Read(plain).cells("hidden", plain)
    assert set(hidden) == {"not observed, km²", "cloud"}
    records = [scan.records[place.id] for place in scan.done if place.layer == 0]
    unseen = sum(one.km2 * (1 - one.clear_fraction) for one in records)
    assert hidden["cloud"][0] == f"{unseen:,.2f}"


def test_units_that_failed_are_named(tmp_path: Path):
    run = run_of(tmp_path / "scan", painted=lambda place: None if place.layer == 1 else paint(place))
    of = scanned(run)
    words = Read(page(of, [])).words
    assert f"{len(of.missing)} units of the scan are missing" in words
    assert of.missing[0] in words


def test_more_landslides_than_it_draws_are_counted(
    scan: Scanned, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pick, "MOST_DRAWN", 2)
    monkeypatch.setattr(pick, "MOST_LISTED", 2)
    read = Read(page(scan, rows))
    assert [one["id"] for one in read.data["landslides"]] == ["slide-4", "slide-0"]  # the largest, the most urgent
    assert "3 of 5 landslides are not drawn here" in read.words


def test_a_region_too_large_for_one_file_names_the_rasters(
    scan: Scanned, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pictures, "LARGEST_SIDE", 50)
    read = Read(page(scan, rows))
    assert "A pixel of the pictures shows 40 m of ground" in read.words
    links = [said["href"] for tag, said in read.elements if tag == "a"]
    assert "cog/EPSG_32633/20230601_20230701/reason.tif" in links
    assert not any("://" in str(link) for link in links)


def test_the_priority_of_some_does_not_hide_that_others_have_none(scan: Scanned):
    rows = [
        landslide(scan, 0, priority=None),
        landslide(scan, 1, priority=float("nan")),
        landslide(scan, 2, priority=1),
    ]
    found = picked(rows, [AFTER.days])
    assert [row["id"] for row in found.listed] == ["slide-2", "slide-1", "slide-0"]
    assert found.count == 3


def test_a_landslide_of_another_scan_is_refused(scan: Scanned):
    with pytest.raises(InvalidInputError, match="landslide slide-0: a landslide of last year; expected one of the"):
        page(scan, [landslide(scan, 0, window="last year")])


def test_a_card_says_every_column_in_words(scan: Scanned):
    assert set(card.COLUMNS) == set(COLUMNS) - {GEOMETRY}
    said = dict(card.card(landslide(scan, 0, aspect_deg=350.0, touches="road,river", elevation_m=float("nan"))))
    assert said["faces"] == "350° (north)"
    assert said["area"] == "1,600 m²"
    assert said["cuts, blocks or touches"] == "road, river"
    assert said["elevation"] == "not known"
    assert (said["ground of frequent errors"], said["less sure for"]) == ("none", "none")
    assert said["newest clear day"] == "2023-07-20"
    assert said["last clear day before it"] == "not known"


def test_a_card_says_what_its_bits_mean(scan: Scanned):
    said = dict(card.card(landslide(scan, 0, exclusion=5 | 1 << 12, advisory=3)))
    assert said["ground of frequent errors"] == "snow or ice within 200 m, flat ground, bit 4096"
    assert said["less sure for"] == "seen clear once, a scene's offset is not certain"
    assert {*card._EXCLUSIONS} == {*Exclusion}
    assert {*card._ADVISORIES} == {*Advisory}


def item(name: str, day: str, **properties: object) -> dict[str, Any]:
    geometry = properties.pop("geometry", shapely.geometry.mapping(HOW.region))
    return {
        "id": name, "geometry": geometry, "assets": {},
        "properties": {"datetime": f"{day}T10:00:00Z", **properties},
    }  # fmt: skip


def test_the_next_passes_are_ten_days_after_the_last_of_each_satellite_and_orbit():
    away = shapely.geometry.mapping(shapely.box(0, 0, 1, 1))
    found = passes_of(
        [
            item("S2A_MSIL2A_20230701T100031_N0509_R122_T33TYM_20230701T143300", "2023-07-01"),
            item("S2A_MSIL2A_20230711T100031_N0509_R122_T33TYM_20230711T143300", "2023-07-11"),
            item("S2A_MSIL2A_20230709T100031_N0509_R079_T33TYM_20230709T143300", "2023-07-09"),
            item("S2A_MSIL2A_20230730T100031_N0509_R122_T31TYM_20230730T143300", "2023-07-30", geometry=away),
            item("no name", "2023-07-16", platform="sentinel-2b"),
            {"id": "broken", "geometry": None, "assets": {}, "properties": {}},
        ],
        HOW.region,
    )
    assert [(one.satellite, one.orbit, one.due) for one in found] == [
        ("S2A", 79, date(2023, 7, 19)),
        ("S2A", 122, date(2023, 7, 21)),
        ("S2B", None, date(2023, 7, 26)),
    ]


def test_its_libraries_licence_lies_beside_it():
    folder = Path(pick.__file__).parent / "resources" / "leaflet"
    assert "Redistribution and use" in (folder / "LICENSE.txt").read_text()
    assert "Leaflet 1.9.4" in (folder / "leaflet.js").read_text()[:100]
