"""Configurations: begin one, the schema for editors, and what would be done with one."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated, Literal

import typer

from landslide_scale.cli.options import ConfigFile
from landslide_scale.runtime.console import run_guarded

Kind = Annotated[Literal["scan", "chips", "finetune", "benchmark", "rapid"], typer.Argument(help="What is configured.")]


def init(
    kind: Kind,
    region: Annotated[
        str | None, typer.Option(metavar="FILE", help="Polygons to put in as its region: GeoJSON, GeoPackage, ...")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="A new file; by default it is printed.")] = None,
) -> None:
    """A configuration to begin with: every key with its default, unit and meaning."""
    sys.exit(run_guarded(lambda: _commands().init(kind, region, out)))


def schema(kind: Kind) -> None:
    """The JSON schema of a configuration, for editors."""
    sys.exit(run_guarded(lambda: _commands().schema(kind)))


def plan(
    config: ConfigFile,
    bands: Annotated[
        str, typer.Option(metavar="NAMES", help="Plan for a checkpoint of these bands, as red,green,blue,slope.")
    ] = "",
    like: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Also say hours and cost of a scan, at the rates of an earlier one."),
    ] = None,
) -> None:
    """Dry run of any configuration: scenes, labels, images, weights; nothing is written; a scan needs no checkpoint."""
    named = tuple(name.strip() for name in bands.split(",") if name.strip())
    sys.exit(run_guarded(lambda: _commands().plan(config, named, like)))


def _commands() -> ModuleType:
    """Imported late, as the package says."""
    from landslide_scale.commands import configurations  # noqa: PLC0415

    return configurations
