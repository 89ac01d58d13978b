"""Scan a region, and look at what a scan left."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated

import typer

from landslide_scale.cli.options import ConfigFile, Resume, RunFolder
from landslide_scale.runtime.console import run_guarded

Append = Annotated[bool, typer.Option("--append", help="Add the configuration's later windows to a complete scan.")]


Check = Annotated[
    bool, typer.Option("--check", help="With --resume: list the cube first, and redo what is not there any more.")
]


def scan(
    config: ConfigFile,
    base: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Take over what an earlier scan made of the same scenes; as output.base."),
    ] = None,
    *,
    resume: Resume = False,
    check: Check = False,
    append: Append = False,
) -> None:
    """Scan a region: catalogue to landslide-probability cube."""
    if resume and append:
        raise typer.BadParameter("--resume and --append: a run is gone on with, or given further windows")
    if check and not resume:
        raise typer.BadParameter("--check without --resume: only a run that is gone on with has anything to look at")
    sys.exit(
        run_guarded(
            lambda: (
                _commands().append(config, base=base)
                if append
                else _commands().scan(config, resume=resume, check=check, base=base)
            ),
            kept="finished units are",
        )
    )


def verify(
    run: RunFolder,
    products: Annotated[
        str | None, typer.Option(metavar="URL", help="Where export put them, if not into RUN_DIR/products.")
    ] = None,
) -> None:
    """Hash a cube against its ledger, and its products; broken units are redone by the next scan --resume."""
    sys.exit(run_guarded(lambda: _looking().verify(run, products)))


def status(
    run: RunFolder,
    map_file: Annotated[str | None, typer.Option("--map", help="Also draw a map of coverage: .png or .html.")] = None,
) -> None:
    """The ledger of a scan as one table: units, ground, errors, seconds; of a folder of chips what became of them."""
    sys.exit(run_guarded(lambda: _looking().status(run, map_file)))


def _commands() -> ModuleType:
    """Imported late, as the package says."""
    from landslide_scale.commands import scanning  # noqa: PLC0415

    return scanning


def _looking() -> ModuleType:
    """Likewise: to look at a run takes libraries that a scan does without."""
    from landslide_scale.commands import inspecting  # noqa: PLC0415

    return inspecting
