"""From labels to a judged network."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated

import typer

from landslide_scale.cli.options import ConfigFile, Resume
from landslide_scale.runtime.console import run_guarded

importing = typer.Typer(no_args_is_help=True, help="Labelled images that others published, made into training chips.")


def chips(config: ConfigFile, *, resume: Resume = False) -> None:
    """Label polygons and a catalogue to training chips; exit code 3 when some failed."""
    sys.exit(run_guarded(lambda: _commands().chips(config, resume=resume), kept="finished chips are"))


@importing.command()
def sen12landslides(
    source: Annotated[str, typer.Argument(metavar="DIR", help="Folder of the unpacked files REGION_s2_N.nc.")],
    out: Annotated[str, typer.Option(metavar="CHIPS", help="Folder or URL for the chips: empty or absent.")],
    days: Annotated[int, typer.Option(help="Frames of so many days after an event are taken.")] = 90,
    low_quality: Annotated[
        str | None, typer.Option(metavar="FILE", help="Leave these out: the authors' low_quality_patches.txt.")
    ] = None,
    splits: Annotated[
        str | None, typer.Option(metavar="FILE", help="Count the leaks of this published splits.json.")
    ] = None,
    *,
    resume: Resume = False,
) -> None:
    """Sen12Landslides as published (NetCDF) to chips; every file is taken, or said why not."""
    sys.exit(
        run_guarded(
            lambda: _commands().import_sen12landslides(
                source, out, days=days, low_quality=low_quality, splits=splits, resume=resume
            ),
            kept="finished chips are",
        )
    )


def finetune(config: ConfigFile, *, resume: Resume = False) -> None:
    """Train LandslideNet, or another network, on labelled images."""
    sys.exit(run_guarded(lambda: _commands().finetune(config, resume=resume), kept="finished epochs are"))


def evaluate(
    config: ConfigFile,
    checkpoint: Annotated[str | None, typer.Option(help="Another checkpoint than the run's own.")] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Score every image, of another place for example, whatever it has seen.")
    ] = False,
) -> None:
    """Score a checkpoint on the images that its training kept from it."""
    sys.exit(run_guarded(lambda: _commands().evaluate(config, checkpoint, every=every)))


def benchmark(config: ConfigFile, *, resume: Resume = False) -> None:
    """Train models alike on labelled images, and write the paper's tables and pictures."""
    sys.exit(
        run_guarded(lambda: _commands().benchmark(config, resume=resume), kept="finished trainings and epochs are")
    )


def _commands() -> ModuleType:
    """Imported late, as the package says."""
    from landslide_scale.commands import training  # noqa: PLC0415

    return training
