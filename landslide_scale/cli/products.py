"""Make the products of a scan."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated

import typer

from landslide_scale.cli.options import RunFolder
from landslide_scale.runtime.console import run_guarded


def export(  # noqa: PLR0917 options, each by its name
    run: RunFolder,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="Folder or URL for the products; by default RUN_DIR/products.")
    ] = None,
    only: Annotated[str, typer.Option(metavar="KINDS", help="Some of cog,vector,stac,report; by default all.")] = "",
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a pixel is landslide; by default the checkpoint's.")
    ] = None,
    min_area: Annotated[
        float | None, typer.Option(metavar="M2", help="Smaller polygons are left out, and counted.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Ground of your own, as roads=roads.gpkg; repeatable."),
    ] = None,
    change: Annotated[
        str | None,
        typer.Option(metavar="BEFORE,AFTER", help="Map what is new between two layers, as 0,1; polygons are of it."),
    ] = None,
    loss: Annotated[
        float | None, typer.Option(metavar="PCT", help="With --change: loss of vegetation that counts, as rdNDVI.")
    ] = None,
    least_slope: Annotated[
        float | None, typer.Option(metavar="DEG", help="With --change: candidates lie on slopes as steep.")
    ] = None,
    earlier: Annotated[
        str | None, typer.Option(metavar="URL", help="With --change: products of the version before, for first days.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Of the scan: says where an elevation model of your own may be read from."),
    ] = None,
    *,
    finished: Annotated[bool, typer.Option("--finished", help="With --change: the event has ended.")] = False,
) -> None:
    """Make rasters, polygons, a catalogue and a report of a scan; the same command goes on where one was stopped."""
    sys.exit(
        run_guarded(
            lambda: _commands().export(
                run,
                to,
                only=only,
                threshold=threshold,
                min_area=min_area,
                layers=layer or [],
                change=_commands().change_told(change, loss, least_slope, earlier, finished=finished),
                config=config,
            ),
            kept="finished products are",
            by="the same command",
        )
    )


def _commands() -> ModuleType:
    """Imported late, as the package says."""
    from landslide_scale.commands import products  # noqa: PLC0415

    return products
