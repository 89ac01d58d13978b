"""Chips without Ray: the driver's and the makers' own code in one plain process, to be killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shapely
from helpers.borderland import BORDER
from helpers.plainrun import FORKS
from helpers.watching import Watch, steps

from landslide_scale.cube.record import Record
from landslide_scale.labels.chips import make_chips
from landslide_scale.labels.making import Task, make
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.scan.rounds import Stream
from landslide_scale.scan.work import Row
from landslide_scale.strictyaml import parse

REGION = shapely.box(BORDER - 0.012, 46.008, BORDER - 0.002, 46.016)
SCAR = shapely.box(BORDER - 0.009, 46.010, BORDER - 0.006, 46.013)


def asked(url: str, scenes: Path, folder: Path, **changes: object) -> ChipsConfig:
    """Chips of the borderland, which go to a folder of their own below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.geojson").write_text(json.dumps(shapely.geometry.mapping(SCAR)))
    catalog = {"url": url, "profile": "plain", "collection": "made", "offset": "in_numbers"}
    settings: dict[str, Any] = {
        "region": {"bbox": list(REGION.bounds)},
        "labels": {"file": str(folder / "labels.geojson")},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "catalog": catalog | {"allowed_roots": [str(scenes)], "allowed_hosts": ["127.0.0.1:*"]},
        "composite": {"method": "latest", "dilate_m": 0},
        "bands": ["red"],
        "size": 32,
        "directory": str(folder / "chips"),
    }
    return parse(ChipsConfig, settings | changes)


@contextmanager
def plain(task: Task) -> Iterator[Stream]:
    """One chip after the other in this process."""

    def stream(rows: Sequence[Row]) -> Iterator[Record]:
        for row in rows:
            yield Record.from_json(make(row, task)["record"])

    yield stream


def killed(config: ChipsConfig, log: Path, step: int) -> bool:
    """Make chips in another process that is lost before one of its steps; whether there are so many."""
    process = FORKS.Process(target=_doomed, args=(config, str(log), step))
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def _doomed(config: ChipsConfig, log: str, step: int) -> None:
    Watch(folder=config.directory, log=log, kill_at=step)
    make_chips(config, plain, resume=True)


def counted_steps(config: ChipsConfig, log: Path) -> int:
    """How many steps making chips takes."""
    killed(config, log, -1)
    return len(steps(log))
