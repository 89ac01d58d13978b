"""What this machine and installation are fit for."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from landslide_scale.runtime.console import run_guarded


def doctor(
    s3: Annotated[str | None, typer.Option(metavar="URL", help="Also list this folder, as s3://bucket/folder.")] = None,
    catalog: Annotated[
        str | None, typer.Option(metavar="PROFILE|URL", help="Also search this catalogue, as earth-search-c1.")
    ] = None,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Also join this Ray cluster.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What this machine and installation are fit for: one screen for a report of a fault, without secrets."""
    # Not by way of the commands: they import every library, and one that is broken is to be named here.
    from landslide_scale.doctor import examination  # noqa: PLC0415

    asked = examination.Asked(storage=s3, catalogue=catalog, cluster=ray)
    sys.exit(run_guarded(lambda: examination.report_json(asked) if as_json else examination.report(asked)))
