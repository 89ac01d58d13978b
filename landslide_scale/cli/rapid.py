"""Follow events and map them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from landslide_scale.cli.options import ConfigFile
from landslide_scale.runtime.console import run_guarded


def rapid(  # noqa: PLR0917 options, each by its name
    config: ConfigFile,
    event: Annotated[str, typer.Option(metavar="ID", help="One event, one cycle; or whose verdicts.")] = "",
    replay: Annotated[str, typer.Option(metavar="ID", help="An old event as it would have unfolded.")] = "",
    until: Annotated[str, typer.Option(metavar="T", help="With --replay: the last instant, UTC.")] = "",
    latency: Annotated[
        float, typer.Option(metavar="HOURS", help="With --replay: from a scene's sensing to its Item.")
    ] = 0.0,
    verdicts: Annotated[
        str, typer.Option(metavar="FILE", help="With --event: a copy of landslides.gpkg with verdicts filled in.")
    ] = "",
    confirm: Annotated[
        int | None, typer.Option(metavar="VERSION", help="With --event and --by: an analyst stands for a version.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="With --confirm: who.")] = "",
    *,
    once: Annotated[bool, typer.Option("--once", help="One cycle over the feed; what a scheduler calls.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Cycles until stopped.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Every event: state, ground, version, next pass.")] = False,
) -> None:
    """From an earthquake to a landslide map, and a better one with every pass of a satellite."""

    def run() -> int:
        from landslide_scale.commands.rapid import rapid as follow  # noqa: PLC0415 as the package says
        from landslide_scale.rapid.face import RapidAsked  # noqa: PLC0415

        asked = RapidAsked(
            once=once,
            watch=watch,
            status=status,
            event=event,
            replay=replay,
            until=until,
            latency_h=latency,
            verdicts=verdicts,
            confirm=confirm,
            by=by,
        )
        return follow(config, asked)

    sys.exit(run_guarded(run, kept="published versions are", by="the same command"))
