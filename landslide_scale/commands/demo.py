"""The made worlds: a scan's, and that of an event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from landslide_scale.commands.arguments import given, load
from landslide_scale.commands.rapid import WORKERS
from landslide_scale.demo.rapid_recipe import RapidModelName
from landslide_scale.demo.recipe import ModelName
from landslide_scale.demo.world import World
from landslide_scale.exporting.run import export as run_export
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.paths import output_place
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.watching import once
from landslide_scale.runtime.console import say
from landslide_scale.runtime.session import session
from landslide_scale.storage.rundir import RunDirectory


def demo(directory: str, seed: int, model: ModelName = "unet") -> int:
    """Run the demo."""
    from landslide_scale.demo.run import run_demo  # noqa: PLC0415 scikit-learn, which no other command waits for

    def products(run: RunDirectory, advance: Callable[[float, str], None]) -> None:
        run_export(
            run, ExportSettings(), progress=lambda far: advance(far.done / far.total, far.current or "all are made")
        )

    place = Path(given(directory, output_place, "--dir"))
    run_demo(place, seed=seed, progress=say, export=products, model=model)
    return 0


def rapid_demo(directory: str, seed: int, model: RapidModelName = "unet", *, small: bool) -> int:
    """Live through a made event, as `rapid` follows one."""
    from landslide_scale.demo.rapid_life import LEARNED, SMALL, live  # noqa: PLC0415 scikit-learn, as above
    from landslide_scale.demo.run import trained_in  # noqa: PLC0415

    place = Path(given(directory, output_place, "--dir"))

    def cycle(file: str, now: datetime) -> str:
        (known,) = once(load(RapidConfig, file), WORKERS, clock=lambda: now).events
        return known.state

    network: Callable[[World], Path] | None = None
    if model != "none":
        network = partial(trained_in, place / LEARNED, model=model, progress=say)
    with session(None):
        live(
            place,
            seed=seed,
            progress=say,
            cycle=cycle,
            checkpoint=network,
            frame=SMALL if small else None,
        )
    return 0
