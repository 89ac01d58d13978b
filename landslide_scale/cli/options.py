"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigFile = Annotated[str, typer.Option("--config", help="YAML file; `landslide-scale init` begins one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that the output holds.")]
RunFolder = Annotated[str, typer.Argument(metavar="RUN_DIR", help="Folder or URL of a scan: output.run.")]
