"""Checkpoints that have names."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated

import typer

from landslide_scale.runtime.console import run_guarded

models = typer.Typer(no_args_is_help=True, help="Checkpoints that have names: `model.checkpoint: NAME`.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `models list` says.")]


@models.command("list")
def list_models() -> None:
    """The checkpoints that have names, and where they are listed."""
    sys.exit(run_guarded(lambda: _commands().list_models()))


@models.command("show")
def show_model(name: Name) -> None:
    """All that is known of a checkpoint: bands, images it learnt from, licence, scores."""
    sys.exit(run_guarded(lambda: _commands().show_model(name)))


@models.command("fetch")
def fetch_model(name: Name) -> None:
    """Have a checkpoint's file on this machine, checked by SHA-256, and print where."""
    sys.exit(run_guarded(lambda: _commands().fetch_model(name)))


@models.command("add")
def add_model(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Path or URL of the file.")],
    name: Annotated[str, typer.Option(help="Letters, digits, - and _.")],
    data: Annotated[str, typer.Option(help="What it learnt from, in words.")],
    licence: Annotated[str, typer.Option(help="Of the file, in words.")],
    held_out: Annotated[
        list[str] | None, typer.Option(metavar="REGION=F1", help="Landslide F1 on ground it had not seen; repeatable.")
    ] = None,
) -> None:
    """Give a checkpoint a name in your registry; what it takes is read from its card."""
    sys.exit(run_guarded(lambda: _commands().add_model(checkpoint, name, data, licence, held_out or [])))


@models.command("remove")
def remove_model(name: Name) -> None:
    """Take a name out of your registry; the checkpoint's file stays."""
    sys.exit(run_guarded(lambda: _commands().remove_model(name)))


def _commands() -> ModuleType:
    """Imported late, as the package says."""
    from landslide_scale.commands import models  # noqa: PLC0415

    return models
