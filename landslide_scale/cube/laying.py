"""Laying a cube out: its metadata and coordinates as they are to be, whatever was there, and known by their hashes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from landslide_scale.cube import manifest
from landslide_scale.cube.template import Template, create, expected
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)


def lay_out(run: RunDirectory, cube: str, template: Template, beside: Iterable[str]) -> None:
    """Write what a cube is before its shards, or what is missing or damaged of it, and note all by their hashes.

    Args:
        run: The run's folder.
        cube: The cube's name in there.
        template: What it is.
        beside: Names of further files of the run, right as they are, to be noted too.

    Raises:
        RunConflictError: The cube is there and covers other ground, or other windows than the first of these.
        BrokenRunError: The storage takes no more.
    """
    known = {f"{cube}/{name}": content for name, content in expected(template).items()}
    if broken := manifest.mend(run, cube, known):
        log.warning("made anew, because it was not as it had been written: %s", ", ".join(broken))
    create(run.at(cube), template)
    manifest.keep(run, [*known, *beside])
