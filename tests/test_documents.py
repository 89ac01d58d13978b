"""What README and the pages in docs/ point to is there, and what they tell one to type is a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from landslide_scale.cli import app
from landslide_scale.rapid.known import State
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.strictyaml import load

REPOSITORY = Path(__file__).parent.parent
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
MOST_LINES = 200


def links(text: str) -> list[str]:
    """Targets of a page's links and pictures, but for those in code."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def code(text: str) -> str:
    """What a page shows as code, in blocks and within lines."""
    return "\n".join(re.findall(r"```.*?```|`[^`]*`", text, flags=re.DOTALL))


def anchors(text: str) -> set[str]:
    """Of a page's headings, by GitHub's rule."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, or past the repository."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        url = urlsplit(link)
        if url.scheme:
            continue
        target = (page.parent / url.path).resolve() if url.path else page
        there = target.is_relative_to(REPOSITORY) and target.exists()
        if not there or (url.fragment and url.fragment not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_and_anchor_resolves(page: Path):
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    (tmp_path / "b.md").write_text("# A heading, `code`: two\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[1](b.md) [2](b.md#a-heading-code-two) ![3](c.png) [4](b.md#gone) [5](../b.md) [6](https://a.org/x) `[7](d)`\n"
    )
    assert broken(page) == ["c.png", "b.md#gone", "../b.md"]


def test_every_page_is_reached_from_the_readme():
    linked = {link.partition("#")[0] for link in links(PAGES[0].read_text(encoding="utf-8"))}
    assert {f"docs/{page.name}" for page in PAGES[1:]} - linked == set()


def test_the_readme_is_short_and_says_what_a_newcomer_types():
    text = PAGES[0].read_text(encoding="utf-8")
    assert len(text.splitlines()) < MOST_LINES
    targets = set(re.findall(r"make ([a-z-]+)", code(text)))
    rules = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"install", "demo", "test"} <= targets <= rules


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_a_page_names_is_one(page: Path):
    named = set(re.findall(r"\blandslide-scale ([a-z0-9]+)", code(page.read_text(encoding="utf-8"))))
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    assert named <= set(command.commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_configuration_a_page_names_is_there(page: Path):
    named = re.findall(r"\b(configs/[\w/]+\.yaml)", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_the_line_for_a_cluster_is_the_same_on_both_pages():
    first, second = (
        page.read_text(encoding="utf-8").partition("# On a cluster")[2].split("```")[1]
        for page in (PAGES[0], REPOSITORY / "docs" / "cluster.md")
    )
    assert first == second


def test_decisions_keep_their_numbers():
    decisions = (REPOSITORY / "docs" / "decisions.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", decisions, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    cited = [
        number
        for page in PAGES
        for number in re.findall(r"\[decision (\d+)\]\((?:docs/)?decisions\.md\)", page.read_text(encoding="utf-8"))
    ]
    assert cited
    assert {int(number) for number in cited} <= set(numbers)


RAPID = (REPOSITORY / "docs" / "rapid.md").read_text(encoding="utf-8")


def test_the_configuration_of_rapid_mapping_that_a_page_shows_is_accepted(tmp_path: Path):
    (shown,) = re.findall(r"```yaml\n(.*?)```", RAPID, flags=re.DOTALL)
    path = tmp_path / "rapid.yaml"
    path.write_text(shown, encoding="utf-8")
    config = load(RapidConfig, path)
    assert (config.model, len(config.given)) == ("none", 1)
    assert set(re.findall(r"(?m)^(\w+):", shown)) <= set(RapidConfig.model_fields)


def test_every_state_of_an_event_is_told_and_no_other():
    rows = re.findall(r"(?m)^\| (`[^|]+) \|", RAPID.partition("## What an event is at")[2].partition("\n## ")[0])
    assert sorted(re.findall(r"`([\w ]+)`", " ".join(rows))) == sorted(get_args(State))


def test_every_option_of_rapid_mapping_is_told_and_no_other():
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    ours = {option for one in command.commands["rapid"].params for option in one.opts if option.startswith("--")}
    faces = RAPID.partition("## Faces")[2].partition("\n## ")[0]
    assert set(re.findall(r"--[a-z]+", code(faces))) == ours - {"--help"}
