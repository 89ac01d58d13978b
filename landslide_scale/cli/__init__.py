"""The command `landslide-scale`: parse, call, print.

A module for each topic, which only reads what is typed; that of the same name in `commands` does it, and is imported
once it is asked to, since torch and Ray take seconds that `--help` should not.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from landslide_scale.cli.configurations import init, plan, schema
from landslide_scale.cli.demo import demo, rapid_demo
from landslide_scale.cli.doctor import doctor
from landslide_scale.cli.models import models
from landslide_scale.cli.products import export
from landslide_scale.cli.rapid import rapid
from landslide_scale.cli.scanning import scan, status, verify
from landslide_scale.cli.training import benchmark, chips, evaluate, finetune, importing
from landslide_scale.runtime.stopping import end_in_time

COMMAND = "landslide-scale"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 typer's
    if wanted:
        typer.echo(f"{COMMAND} {version(COMMAND)}")
        raise typer.Exit


@app.callback()
def everything(
    *,
    version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Landslide probability over whole regions, from Sentinel-2 on a Ray cluster."""


for _command in (
    *(plan, scan, verify, export, rapid, status),
    *(chips, finetune, evaluate, benchmark),
    *(init, schema, doctor),
    *(demo, rapid_demo),
):
    app.command()(_command)
app.add_typer(importing, name="import")
app.add_typer(models, name="models")


def main() -> None:
    """Entry point; shells complete the same name that ``python -m`` is given."""
    end_in_time()
    app(prog_name=COMMAND)
