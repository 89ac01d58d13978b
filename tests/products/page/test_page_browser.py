"""The report in a browser without a network, as someone with a mouse, a finger or a keyboard has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from landslide_scale.products.page.card import COLUMNS
from landslide_scale.products.page.report import report
from landslide_scale.products.scanned import Scanned

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402 there may be none
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = (shutil.which("chromium") or shutil.which("google-chrome")), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its chromedriver on the path"),
]

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
)


class Page:
    """The report, opened."""

    def __init__(self, driver: WebDriver) -> None:
        self.driver = driver

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 whatever the script gives
        return self.driver.execute_script(script, *arguments)

    def press(self, element: WebElement) -> None:
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    @property
    def pictures(self) -> list[WebElement]:
        return self.all(".leaflet-pictures-pane img")

    def column(self, number: int) -> list[str]:
        return [cell.text for cell in self.all(f"#list tbody td:nth-child({number})")]


@pytest.fixture(scope="module")
def path(scan: Scanned, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page") / "report.html"
    report(scan, rows, found)
    return found


@pytest.fixture(scope="module", params=[1280, 390])
def opened(path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        size = {"width": request.param, "height": 844, "deviceScaleFactor": 1, "mobile": request.param < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_cdp_cmd("Network.enable", {})
        driver.get(path.as_uri())
        page = Page(driver)
        yield page
        _check_silence(driver, path)
    finally:
        driver.quit()


def _check_silence(driver: WebDriver, path: Path) -> None:
    """No word on the console, and no request but for the file itself, in all that was done with the page."""
    assert driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert path.as_uri() in asked
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}


def test_it_fits_the_width_and_shows_the_newest_window(opened: Page):
    width, wide = opened.run("return [innerWidth, document.documentElement.scrollWidth]")
    assert wide <= width
    assert "Preliminary, not field-validated." in opened.one("header").text
    assert len(opened.pictures) == 2
    assert opened.run("return arguments[0].naturalWidth > 100 && arguments[0].complete", opened.pictures[0])
    assert len(opened.all(".leaflet-outlines-pane path.leaflet-interactive")) == 5


def test_each_layer_is_switched_and_faded(opened: Page):
    boxes, ranges = opened.all("#layers input[type=checkbox]"), opened.all("#layers input[type=range]")
    assert [box.is_selected() for box in boxes] == [True, True, True, False, False, False]
    for box, range_ in zip(boxes, ranges, strict=True):
        before = len(opened.pictures) + len(opened.all(".leaflet-outlines-pane path"))
        opened.press(box)
        after = len(opened.pictures) + len(opened.all(".leaflet-outlines-pane path"))
        assert (after < before) is not box.is_selected() or "outlines" in box.find_element(By.XPATH, "..").text
        opened.press(box)
        assert len(opened.pictures) + len(opened.all(".leaflet-outlines-pane path")) == before
        assert "of" in range_.get_attribute("aria-label")
    probability = ranges[1]
    opened.run("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", probability)
    probability.send_keys(Keys.HOME)
    assert "0" in {picture.value_of_css_property("opacity") for picture in opened.pictures}
    probability.send_keys(Keys.END)
    assert {picture.value_of_css_property("opacity") for picture in opened.pictures} == {"1"}


def test_two_layers_are_compared_by_dragging_and_by_keys(opened: Page):
    chosen = "return [...document.querySelectorAll('#compare select')].map((one) => one.selectedOptions[0].text)"
    assert opened.run(chosen) == ["probability, 2023-06-01 to 2023-07-01", "probability, 2023-07-01 to 2023-08-01"]
    assert not opened.one("#divider").is_displayed()
    opened.press(opened.one("#swipe"))
    divider, width = opened.one("#divider"), opened.one("#map").size["width"]
    assert divider.is_displayed()
    assert divider.get_attribute("aria-valuenow") == "50"
    assert _border(opened) == pytest.approx(width / 2, abs=2)
    opened.run("document.querySelector('.stage').scrollIntoView({block: 'start'})")
    ActionChains(opened.driver).drag_and_drop_by_offset(divider, -round(width / 4), 0).perform()
    assert _border(opened) == pytest.approx(width / 4, abs=3)
    assert divider.get_attribute("aria-valuenow") in {"24", "25", "26"}
    opened.run("arguments[0].focus()", divider)
    divider.send_keys(Keys.ARROW_RIGHT)
    assert _border(opened) == pytest.approx(width * 0.3, abs=4)
    pictures = [opened.one(f".leaflet-{side}-pane img").get_attribute("src") for side in ("left", "right")]
    assert pictures[0] != pictures[1]
    opened.press(opened.one("#swipe"))
    assert not opened.one("#divider").is_displayed()
    assert opened.all(".leaflet-left-pane img") == []


def _border(opened: Page) -> float:
    """Where the left picture ends, in pixels from the left of the map: what is clipped, not where the line is."""
    return float(
        opened.run(
            "const pane = document.querySelector('.leaflet-left-pane');"
            "const points = getComputedStyle(pane).clipPath.match(/-?[0-9.]+/g).map(Number);"
            "const shift = new DOMMatrix(getComputedStyle(document.querySelector('.leaflet-map-pane')).transform).m41;"
            "return points[2] + shift"
        )
    )


def test_a_click_on_an_outline_opens_its_card(opened: Page):
    opened.run("document.querySelector('.stage').scrollIntoView({block: 'start'})")
    opened.one("#whole").click()
    shape = opened.all(".leaflet-outlines-pane path.leaflet-interactive")[2]
    ActionChains(opened.driver).move_to_element(shape).click().perform()
    name = opened.one("#card-head").text
    assert name.startswith("Landslide slide-")
    said = dict(
        zip(
            [one.text for one in opened.all("#columns dt")],
            [one.text for one in opened.all("#columns dd")],
            strict=True,
        )
    )
    assert said["identifier"] == name.removeprefix("Landslide ")
    assert said["clear observations (median)"] == "3"
    assert list(said) == [words for words, _ in COLUMNS.values()]
    opened.press(opened.one("#next"))
    assert opened.one("#card-head").text != name


def test_the_table_is_sorted_by_mouse_and_by_keyboard(opened: Page):
    ranks, areas = (opened.one(f"#list thead th:nth-child({number}) button") for number in (2, 3))
    assert opened.column(2) == ["1", "2", "3", "4", "5"]
    opened.press(ranks)
    opened.press(ranks)
    assert opened.column(2) == ["5", "4", "3", "2", "1"]
    assert opened.one("#list thead th:nth-child(2)").get_attribute("aria-sort") == "descending"
    opened.run("arguments[0].focus()", areas)
    areas.send_keys(Keys.ENTER)
    assert opened.column(3) == [f"{number:,} m²" for number in range(1600, 1605)]
    areas.send_keys(Keys.ENTER)
    assert opened.column(3) == [f"{number:,} m²" for number in range(1604, 1599, -1)]
    assert opened.one("#list thead th:nth-child(2)").get_attribute("aria-sort") == "none"


def test_a_picture_in_the_table_shows_its_landslide_on_the_map(opened: Page):
    button = opened.one("#list tbody button[aria-label*='slide-3']")
    opened.press(opened.one("#whole"))
    before = opened.one(".leaflet-pictures-pane img").size["width"]
    opened.run("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert opened.one("#card-head").text == "Landslide slide-3"
    assert opened.one(".leaflet-pictures-pane img").size["width"] > 1.1 * before
    assert opened.one("#list tr.chosen button").get_attribute("aria-label") == button.get_attribute("aria-label")


def test_the_tab_key_comes_to_every_control_and_its_place_is_seen(opened: Page):
    opened.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    opened.driver.execute_cdp_cmd("Page.bringToFront", {})
    seen: list[str] = []
    opened.one("body").send_keys(Keys.TAB)
    for _ in range(60):
        seen.append(str(opened.run("const one = document.activeElement; return one.id || one.type || one.tagName")))
        if seen[-1] != "BODY":  # after the last one
            assert opened.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid", seen[-1]
        ActionChains(opened.driver).send_keys(Keys.TAB).perform()
    assert {"map", "closer", "wider", "whole", "checkbox", "range", "left", "right", "swipe", "next"} <= set(seen)


def test_it_can_be_printed(opened: Page):
    WebDriverWait(opened.driver, 10).until(
        lambda driver: driver.execute_script("return document.readyState") == "complete"
    )
    opened.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.one("#layers").is_displayed()
    assert opened.one("#figures").is_displayed()
    opened.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert opened.one("#layers").is_displayed()
