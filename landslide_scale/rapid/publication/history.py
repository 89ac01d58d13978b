"""A page beside an event's versions, on which they can be stepped through: each keeps its own report."""

from __future__ import annotations

from landslide_scale.products import names
from landslide_scale.rapid.publication.pages import page
from landslide_scale.rapid.publication.version import read_latest, read_version
from landslide_scale.storage.rundir import RunDirectory

HISTORY = "history.html"


def write_history(folder: RunDirectory, title: str) -> None:
    """Write down the page of all public versions; before there is one, nothing.

    Args:
        folder: The event's.
        title: Of the event, in words.
    """
    latest = read_latest(folder)
    if latest is None:
        return
    versions = [read_version(folder, number) for number in range(latest.number + 1)]
    said = {"title": title, "event": versions[-1].event, "versions": versions, "report": names.REPORT}
    folder.write(HISTORY, (page("history.html", said) + "\n").encode())


def renew_history(folder: RunDirectory, title: str) -> None:
    """Write down the page where it lacks the newest version: who published that was killed before it was written.

    Args:
        folder: The event's.
        title: Of the event, in words.
    """
    latest = read_latest(folder)
    if latest is None:
        return
    if not folder.exists(HISTORY) or f'"{latest.folder}/' not in folder.read(HISTORY).decode():
        write_history(folder, title)
