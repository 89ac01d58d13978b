"""Whether the units of a run were made of the same files: one that is replaced while it goes on ends it, in words."""

from __future__ import annotations

from collections.abc import Iterable

from landslide_scale.cube.record import Record
from landslide_scale.errors import BrokenRunError
from landslide_scale.storage.rundir import RunDirectory

_BOTH = "+"
"""In the mark of a file that was replaced while a unit was read, in runs that took such a unit for done."""


class Files:
    """The files that a run has read, by their marks; the first mark of a file is what it is known by."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._alike: set[int] = set()
        self._held: list[dict[str, dict[str, str]]] = []

    def other(self, record: Record) -> tuple[str, str] | None:
        """Scene and asset of a file that a unit was made of and that is not what others were; None where there is none.

        Of a unit that was taken over nothing is said: the run that made it may have read what was there before.
        """
        if not record.done or record.taken_from or id(record.files) in self._alike:
            return None
        for name, assets in record.files.items():
            for asset, mark in assets.items():
                if _BOTH in mark or self._known.setdefault((name, asset), mark) != mark:
                    return name, asset
        self._alike.add(id(record.files))  # many units share it; held, so that nothing else comes to have its identity
        self._held.append(record.files)
        return None

    def others(self, records: Iterable[Record]) -> list[Record]:
        """Records that take away what was made of another file than units before them."""
        return [taken_away(record, found) for record in records if (found := self.other(record)) is not None]


def of_two_files(record: Record) -> bool:
    """Whether a unit was made of a file and of another one that took its place meanwhile."""
    return any(_BOTH in mark for assets in record.files.values() for mark in assets.values())


def taken_away(record: Record, found: tuple[str, str]) -> Record:
    """The record that says so."""
    scene, asset = found
    error = f"OtherFile: {asset} of {scene} was another file than for units before"
    return Record(unit=record.unit, state="broken", attempts=record.attempts, error=error)


def replaced(found: tuple[str, str], run: RunDirectory) -> BrokenRunError:
    """What is said where a file was replaced."""
    scene, asset = found
    return BrokenRunError(
        f"{asset} of {scene} was replaced while the run goes on",
        expected="the file that other units of this run were made of",
        cure="Bring it back and give --resume: what is done is kept. Or leave that scene out by catalog.exclude.",
        run=run,
    )
