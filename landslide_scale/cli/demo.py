"""The made worlds: a scan's, and that of an event."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Annotated, Literal

import typer

from landslide_scale.runtime.console import run_guarded


def demo(
    directory: Annotated[str, typer.Option("--dir", help="Where the made world and the results go.")] = "demo",
    seed: Annotated[int, typer.Option(help="Of the made world.")] = 7,
    model: Annotated[
        Literal["unet", "landslidenet"],
        typer.Option(help="What is trained; from random weights, LandslideNet takes 12 minutes to learn."),
    ] = "unet",
) -> None:
    """Make a small world, fine-tune on its west, scan its east, score; offline, on two cores."""
    sys.exit(run_guarded(lambda: _commands().demo(directory, seed, model)))


def rapid_demo(
    directory: Annotated[str, typer.Option("--dir", help="Where the made world and the results go.")] = "rapid-demo",
    seed: Annotated[int, typer.Option(help="Of the made world.")] = 7,
    model: Annotated[
        Literal["unet", "landslidenet", "none"],
        typer.Option(help="What maps; none: candidates of vegetation loss, in a minute or two less."),
    ] = "unet",
    *,
    small: Annotated[bool, typer.Option("--small", help="On little ground, for a test.")] = False,
) -> None:
    """The life of a made earthquake as `rapid` follows it: versions under clouds, verdicts, scores; offline."""
    sys.exit(run_guarded(lambda: _commands().rapid_demo(directory, seed, model, small=small)))


def _commands() -> ModuleType:
    """Imported late, as the package says."""
    from landslide_scale.commands import demo  # noqa: PLC0415

    return demo
