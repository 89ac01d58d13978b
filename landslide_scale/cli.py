"""The command `landslide-scale`: parse, call, print."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated

import typer

from landslide_scale.runtime.console import run_guarded

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

ConfigFile = Annotated[str, typer.Option("--config", help="YAML file; see configs/.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that the output holds.")]

Append = Annotated[bool, typer.Option("--append", help="Add the configuration's later windows to a complete scan.")]
RunFolder = Annotated[str, typer.Argument(metavar="RUN_DIR", help="Folder or URL of a scan: output.run.")]


@app.command()
def plan(config: ConfigFile) -> None:
    """Dry run of a scan: scenes, blocks, GB to read, patches; nothing is written."""
    sys.exit(run_guarded(lambda: _commands().plan(config)))


@app.command()
def scan(config: ConfigFile, *, resume: Resume = False, append: Append = False) -> None:
    """Scan a region: catalogue to landslide-probability cube."""
    if resume and append:
        raise typer.BadParameter("--resume and --append: a run is gone on with, or given further windows")
    sys.exit(
        run_guarded(
            lambda: _commands().append(config) if append else _commands().scan(config, resume=resume),
            kept="finished units are",
        )
    )


@app.command()
def verify(run: RunFolder) -> None:
    """Hash a cube against its ledger; units found broken are redone by the next scan --resume."""
    sys.exit(run_guarded(lambda: _commands().verify(run)))


@app.command()
def status(
    run: RunFolder,
    map_file: Annotated[str | None, typer.Option("--map", help="Also draw a map of coverage: .png or .html.")] = None,
) -> None:
    """The ledger of a scan as one table: units, ground, errors, seconds."""
    sys.exit(run_guarded(lambda: _commands().status(run, map_file)))


@app.command()
def chips(config: ConfigFile) -> None:
    """Label polygons and a catalogue to training chips."""
    sys.exit(run_guarded(lambda: _commands().chips(config)))


@app.command()
def finetune(config: ConfigFile, *, resume: Resume = False) -> None:
    """Fine-tune LandslideNet on labelled images."""
    sys.exit(run_guarded(lambda: _commands().finetune(config, resume=resume), kept="finished epochs are"))


@app.command()
def evaluate(
    config: ConfigFile,
    checkpoint: Annotated[str | None, typer.Option(help="Another checkpoint than the run's own.")] = None,
) -> None:
    """Score a checkpoint on the held-out part of its data set."""
    sys.exit(run_guarded(lambda: _commands().evaluate(config, checkpoint)))


@app.command()
def benchmark(config: ConfigFile, *, resume: Resume = False) -> None:
    """Train models alike on labelled images, and write the paper's tables and pictures."""
    sys.exit(
        run_guarded(lambda: _commands().benchmark(config, resume=resume), kept="finished trainings and epochs are")
    )


@app.command()
def demo(
    directory: Annotated[str, typer.Option("--dir", help="Where the made world and the results go.")] = "demo",
    seed: Annotated[int, typer.Option(help="Of the made world.")] = 7,
) -> None:
    """Make a small world, fine-tune on its west, scan its east, score; offline, on two cores."""
    sys.exit(run_guarded(lambda: _commands().demo(directory, seed)))


def _commands() -> ModuleType:
    """Imported late: torch and Ray take seconds, and --help should not."""
    from landslide_scale import commands  # noqa: PLC0415

    return commands


def main() -> None:
    """Entry point."""
    app()
