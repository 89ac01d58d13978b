"""Whole commands, as processes, whose signed addresses are refused: one error, the right exit code, no secret said."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
from helpers.borderland import BORDER, COLLECTION, border_tiles, configured, untrained, write_item
from helpers.commanded import Commands, Said, commands
from helpers.webserver import Answer, Asked, site
from PIL import Image

from landslide_scale.demo.satellite.stac_server import serve

pytestmark = pytest.mark.slow

SECRET = "xSECRETx"  # noqa: S105 a planted one
QUERY = f"?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&X-Amz-Expires=60"
STATUSES = (401, 403, 404, 410, 416, 429, 500, 503)
LAST = {429: 1, 500: 1, 503: 1}
"""What may pass: the same command may work later."""

TINY = {"sam": "vit_t", "bands": ["red"], "upsample": 1}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where commands are tried: a good checkpoint, and a server that refuses."""

    folder: Path
    checkpoint: str
    at: str

    def signed(self, name: str) -> str:
        return f"{self.at}/{name}{QUERY}"


Config = dict[str, Any]


def scanned(place: Place, **changes: Any) -> Config:  # noqa: ANN401 of any kind
    return {
        "region": {"bbox": [BORDER - 0.02, 46.005, BORDER + 0.045, 46.02]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "catalog": {"items": str(place.folder / "items.json"), "profile": "plain"},
        "grid": {"resolution": 10, "block": 96, "chunk": 32},
        "model": {"checkpoint": place.checkpoint},
        "output": {"run": str(place.folder / "run")},
    } | changes


def chipped(place: Place, **changes: Any) -> Config:  # noqa: ANN401 of any kind
    plain = scanned(place)
    return (
        {key: plain[key] for key in ("region", "windows")}
        | {
            "catalog": plain["catalog"] | {"offset": "in_numbers"},
            "labels": {"file": str(place.folder / "labels.geojson")},
            "bands": ["red"],
            "size": 32,
            "directory": str(place.folder / "run"),
        }
        | changes
    )


def trained(place: Place, **changes: Any) -> Config:  # noqa: ANN401 of any kind
    return {
        "dataset": {"kind": "chips", "path": str(place.folder / "chips")},
        "model": TINY,
        "train": {"patch": 32, "epochs": 1},
        "output": {"run": str(place.folder / "run")},
    } | changes


def paired(folder: Path) -> str:
    """Images and their masks."""
    rng = np.random.default_rng(0)
    for number in range(7):
        mask = np.zeros((20, 20), np.uint8)
        mask[2:7, 3:9] = 255
        image = rng.integers(0, 120, (20, 20, 3), dtype=np.uint8)
        for part, array in (("image", image), ("mask", mask)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / part / f"{number}.png")
    return str(folder)


CATALOGUES: Mapping[str, Callable[[Place], Config]] = {
    "Items": lambda at: {"items": at.signed("items.json"), "profile": "plain", "offset": "in_numbers"},
    "catalogue": lambda at: {"url": at.signed(""), "profile": "plain", "offset": "in_numbers"},
}
OF_SCAN: Mapping[str, Callable[[Place], Config]] = {
    "checkpoint": lambda at: scanned(at, model={"checkpoint": at.signed("c.safetensors")}),
    "region": lambda at: scanned(at, region={"file": at.signed("r.geojson")}),
    **{name: lambda at, of=of: scanned(at, catalog=of(at)) for name, of in CATALOGUES.items()},
}
OF_CHIPS: Mapping[str, Callable[[Place], Config]] = {
    "region": lambda at: chipped(at, region={"file": at.signed("r.geojson")}),
    "labels": lambda at: chipped(at, labels={"file": at.signed("l.geojson")}),
    **{name: lambda at, of=of: chipped(at, catalog=of(at)) for name, of in CATALOGUES.items()},
}
OF_FINETUNE: Mapping[str, Callable[[Place], Config]] = {
    "images": lambda at: trained(at, dataset={"kind": "chips", "path": at.signed("chips")}),
    "base weights": lambda at: trained(
        at,
        dataset={"kind": "pairs", "path": paired(at.folder / "pairs")},
        model={"sam": "vit_t", "upsample": 1},
        base_weights={"url": at.signed("b.pth"), "sha256": "0" * 64},
    ),
}
CASES = [
    *((command, name, make) for command in ("plan", "scan") for name, make in OF_SCAN.items()),
    *((command, name, make) for command in ("plan", "chips") for name, make in OF_CHIPS.items()),
    *(("plan", name, make) for name, make in OF_FINETUNE.items()),
    ("evaluate", "images", OF_FINETUNE["images"]),
    ("evaluate", "checkpoint", trained),
]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("typed")
    with commands(folder / "said", XDG_CACHE_HOME=str(folder / "cache"), HOME=str(folder)) as started:
        yield started


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained(tmp_path_factory.mktemp("good") / "c.safetensors")


@contextmanager
def refusing(folder: Path, checkpoint: str, status: int) -> Iterator[Place]:
    """A place whose server answers everything with a status."""
    folder.mkdir(parents=True)
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    labels = {"type": "Polygon", "coordinates": [[[17.99, 46.01], [17.995, 46.01], [17.995, 46.013], [17.99, 46.01]]]}
    (folder / "labels.geojson").write_text(json.dumps(labels))

    def answer(asked: Asked) -> Answer:
        said = f"AccessDenied: {asked.path}?{asked.query}".encode()
        return Answer(status=status, content=said, headers={"X-Request": asked.query})

    with site(answer) as server:
        yield Place(folder=folder, checkpoint=checkpoint, at=server.address)
        assert server.asked, "the address was not asked"


def check(said: Said, status: int) -> None:
    assert said.code == LAST.get(status, 2), said.err
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said.err.splitlines()[-1] == errors[0]
    assert "Traceback" not in said.out + said.err
    assert SECRET not in said.out + said.err


def check_folder(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert SECRET not in path.name
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":  # is compressed
                content = json.dumps(pq.read_table(path).to_pylist(), default=repr).encode()
            assert SECRET.encode() not in content, path


@pytest.mark.hostile
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_a_command_whose_address_is_refused_says_so_in_one_line_and_keeps_no_secret(
    typed: Commands, checkpoint: str, tmp_path: Path, case: tuple[str, str, Callable[[Place], Config]]
):
    command, name, make = case
    for status in STATUSES:
        with refusing(tmp_path / str(status), checkpoint, status) as place:
            judged = place.signed("c.safetensors") if name == "checkpoint" else place.checkpoint
            further = ["--checkpoint", judged] if command == "evaluate" else []
            config = written(tmp_path / f"{status}.yaml", make(place))
            check(typed.run(command, "--config", config, *further), status)
            check_folder(place.folder)
            assert not (place.folder / "run").exists()
    check_folder(typed.folder.parent)


def written(path: Path, config: Config) -> str:
    path.write_text(json.dumps(config))
    return str(path)


# With Ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, Path]]:
    """Address of a cluster, and the folder of what its processes log."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # sockets need a short path
    options: dict[str, Any] = {"num_cpus": 4, "include_dashboard": False, "object_store_memory": 200_000_000}
    told = ray.init(address="local", log_to_driver=False, _temp_dir=str(folder), **options)
    yield told.address_info["gcs_address"], folder
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.ray
@pytest.mark.parametrize("name", OF_FINETUNE)
def test_a_training_whose_address_is_refused_says_so_in_one_line_and_keeps_no_secret(
    typed: Commands, cluster: tuple[str, Path], checkpoint: str, tmp_path: Path, name: str
):
    address, logs = cluster
    for status in STATUSES:
        with refusing(tmp_path / str(status), checkpoint, status) as place:
            wanted = OF_FINETUNE[name](place) | {"compute": {"address": address}}
            check(typed.run("finetune", "--config", written(tmp_path / f"{status}.yaml", wanted)), status)
            check_folder(place.folder)
            assert not (place.folder / "run").exists()
    check_folder(logs)


@contextmanager
def refused_scenes(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """A catalogue of good scenes and newer ones, one for each status, whose red band is refused with it.

    Newer scenes are read first, and one that may be read later ends the reading of a unit: those are older than the
    others, and each has ground of its own.

    Yields:
        Its address, and what was asked for.
    """
    folder.mkdir()
    tiles = border_tiles()
    on = dict.fromkeys(STATUSES, "d") | dict(zip(LAST, "abc", strict=True))
    order = [*LAST, *(status for status in STATUSES if status not in LAST)]
    refused = {f"d{status}": replace(tiles[on[status]], name=f"d{status}", day=9 + n) for n, status in enumerate(order)}
    del tiles["d"]
    asked_for: set[str] = set()

    def answer(asked: Asked) -> Answer:
        name = asked.path.removeprefix("/")
        scene = name.partition("-")[0]
        asked_for.add(name)
        if SECRET not in asked.query:
            return Answer(status=403)
        if scene in refused and name.endswith("-red.tif"):
            return Answer(status=int(scene[1:]), content=asked.query.encode())
        return Answer(content=(folder / name).read_bytes())

    with site(answer) as server:
        items = [write_item(folder, tile) for tile in (tiles | refused).values()]
        for one in items:
            for asset in one["assets"].values():
                asset["href"] = f"{server.address}/{Path(asset['href']).name}{QUERY}"
        with serve(items, [COLLECTION]) as url:
            yield url, asked_for


@pytest.mark.ray
def test_a_scan_whose_scenes_are_refused_in_every_way_names_them_and_keeps_no_secret(
    typed: Commands, cluster: tuple[str, Path], checkpoint: str, tmp_path: Path
):
    address, logs = cluster
    with refused_scenes(tmp_path / "scenes") as (url, asked_for):
        wanted = configured((url, tmp_path / "scenes"), checkpoint, tmp_path / "out" / "run")
        wanted["catalog"] = {"url": f"{url}?key={SECRET}", "profile": "plain", "collection": "made"}
        wanted["catalog"]["allowed_hosts"] = ["127.0.0.1:*"]
        wanted["compute"] = {"address": address}
        said = typed.run("scan", "--config", written(tmp_path / "scan.yaml", wanted))
    assert said.code == 3, said.err
    assert {f"d{status}-red.tif" for status in STATUSES} <= asked_for
    assert "Traceback" not in said.out + said.err
    assert SECRET not in said.out + said.err
    check_folder(tmp_path / "out")
    check_folder(logs)
