"""Checkpoints by name from a server on loopback: fetched once and checked, taken by plan and scan, and suggested."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.borderland import assert_same_cubes, configured, served
from helpers.plainrun import plain_scan
from helpers.registering import Type, entry, text_of
from helpers.webserver import Answer, Asked, Site, site

from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError
from landslide_scale.model.checkpoint import restore, save
from landslide_scale.provenance import ImageFacts
from landslide_scale.registry.located import Located, located
from landslide_scale.scan.model import fitting_model, observed_as
from landslide_scale.scan.pipeline.engine import _loaded
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import parse

FILE, LIST = "/models/noto.safetensors", "/models/list.yaml"


@pytest.fixture
def files() -> dict[str, bytes]:
    """What the server has, by path."""
    return {}


@pytest.fixture
def server(files: dict[str, bytes], registry: Path) -> Iterator[Site]:  # noqa: ARG001 and no other is there
    def answer(asked: Asked) -> Answer:
        content = files.get(asked.path)
        return Answer(status=404) if content is None else Answer(content=content)

    with site(answer) as running:
        yield running


@pytest.fixture
def remote(server: Site, files: dict[str, bytes], registry: Path, checkpoint: Path) -> Callable[..., None]:
    """Serves the checkpoint, and lists it."""

    def remote(**changes: object) -> None:
        files[FILE] = checkpoint.read_bytes()
        registry.write_text(text_of(entry(checkpoint, f"{server.address}{FILE}", **changes)))

    return remote


def bodies(server: Site, path: str = FILE) -> int:
    return sum((one.method, one.path) == ("GET", path) for one in server.asked)


def test_it_is_fetched_once_checked_and_said(
    remote: Callable[..., None], server: Site, typed: Type, checkpoint: Path, caplog: pytest.LogCaptureFixture
):
    remote()
    assert "on this machine: not yet; `landslide-scale models fetch noto`" in typed("models", "show", "noto")[1]
    assert bodies(server) == 0
    with caplog.at_level(logging.WARNING):
        code, said = typed("models", "fetch", "noto")
    assert code == 0
    copy = Path(said.splitlines()[-1])
    assert copy.read_bytes() == checkpoint.read_bytes()
    assert caplog.messages == [f"fetching {server.address}{FILE}, {checkpoint.stat().st_size:,} bytes"]
    assert typed("models", "fetch", "noto") == (0, f"{copy}\n")
    assert f"on this machine: {copy}" in typed("models", "show", "noto")[1]
    assert bodies(server) == 1


def test_a_size_that_lies_is_refused_before_anything_is_fetched(
    remote: Callable[..., None], server: Site, typed: Type, tmp_path: Path
):
    remote(bytes=12)
    code, said = typed("models", "fetch", "noto")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "checkpoint noto" in said
    assert "bytes; expected 12" in said
    assert bodies(server) == 0
    assert list((tmp_path / "cache").rglob("*.pth")) == []


def test_another_file_than_was_listed_and_one_that_is_gone_are_one_line(
    remote: Callable[..., None], files: dict[str, bytes], typed: Type, tmp_path: Path
):
    remote()
    files[FILE] = files[FILE][:-1] + b"!"
    code, said = typed("models", "fetch", "noto")
    assert (code, said.splitlines()[-1].startswith("error: checkpoint noto: SHA-256")) == (2, True)
    del files[FILE]
    code, said = typed("models", "fetch", "noto")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "cannot be read (FileNotFoundError" in said
    assert list((tmp_path / "cache").rglob("*.pth")) == []


def test_a_local_file_is_checked_as_well(registry: Path, checkpoint: Path, typed: Type):
    registry.write_text(text_of(entry(checkpoint, str(checkpoint), bytes=12)))
    assert "bytes; expected 12" in typed("models", "fetch", "noto")[1]
    registry.write_text(text_of(entry(checkpoint, str(checkpoint), sha256="0" * 64)))
    assert "expected 0000" in typed("models", "fetch", "noto")[1]


def test_a_registry_may_be_on_a_server_and_names_files_beside_it(
    server: Site, files: dict[str, bytes], typed: Type, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LANDSLIDE_SCALE_REGISTRY", f"{server.address}{LIST}")
    code, said = typed("models", "list")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "key LANDSLIDE_SCALE_REGISTRY" in said
    files |= {FILE: checkpoint.read_bytes(), LIST: text_of(entry(checkpoint, "noto.safetensors")).encode()}
    assert f"{server.address}{LIST}, 1 checkpoint\n" in typed("models", "list")[1]
    assert typed("models", "fetch", "noto")[0] == 0
    assert bodies(server) == 1
    told = ("--name", "x", "--data", "d", "--licence", "l")
    code, said = typed("models", "add", str(checkpoint), *told)
    assert code == 2
    assert "can be written to" in said


def test_a_registry_on_a_server_names_no_local_file(
    server: Site, files: dict[str, bytes], typed: Type, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LANDSLIDE_SCALE_REGISTRY", f"{server.address}{LIST}")
    for url in ("/etc/passwd", "file:///etc/passwd"):
        files[LIST] = text_of(entry(checkpoint, url)).encode()
        code, said = typed("models", "fetch", "noto")
        assert code == 2
        assert "in a registry on the network" in said


def test_no_variable_of_this_machine_goes_into_an_address_from_a_server(
    server: Site, files: dict[str, bytes], typed: Type, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LANDSLIDE_SCALE_REGISTRY", f"{server.address}{LIST}")
    monkeypatch.setenv("PRIVATE", "hush")
    files[LIST] = text_of(entry(checkpoint, "$PRIVATE.safetensors")).encode()
    assert typed("models", "fetch", "noto")[0] == 2
    assert not any("hush" in one.path for one in server.asked)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("scenes")
    with served(folder) as url:
        yield url, folder


def test_a_plan_and_a_scan_take_a_name_and_record_the_same_file(
    remote: Callable[..., None], server: Site, typed: Type, catalogue: tuple[str, Path], checkpoint: Path
):
    remote()
    tmp_path = Path.cwd()
    settings = configured(catalogue, "noto", tmp_path / "run")
    (tmp_path / "scan.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "path.yaml").write_text(yaml.safe_dump(configured(catalogue, str(checkpoint), tmp_path / "run")))
    planned = typed("plan", "--config", str(tmp_path / "scan.yaml"))
    assert planned[0] == 0
    assert planned[1].endswith(typed("plan", "--config", str(tmp_path / "path.yaml"))[1])
    assert plain_scan(settings).complete
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert recorded["checkpoint_sha256"] == entry(checkpoint, "")["sha256"]
    assert bodies(server) == 1


@pytest.mark.slow
@pytest.mark.ray
def test_two_predictors_of_a_node_fetch_it_once(
    remote: Callable[..., None], server: Site, catalogue: tuple[str, Path], checkpoint: Path, tmp_path: Path
):
    remote()
    cubes = []
    for name, place in (("named", "noto"), ("plain", str(checkpoint))):
        settings = configured(catalogue, place, tmp_path / name, compute={"predictors": 2, "cpus_per_predictor": 0.5})
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings))
        command = [
            Path(sys.executable).with_name("landslide-scale"),
            "scan",
            "--config",
            str(tmp_path / f"{name}.yaml"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        cubes.append(tmp_path / name)
    assert_same_cubes(*cubes)
    assert bodies(server) == 1


def test_a_predictor_restores_the_file_of_its_node(remote: Callable[..., None], server: Site, checkpoint: Path):
    remote()
    given: list[tuple[str, str | None]] = []

    def load(url: str, *, base_url: str | None, sha256: str | None) -> tuple[None, None]:
        assert sha256 is None
        given.append((url, base_url))
        return None, None

    for _ in range(2):
        _loaded(load, located("noto"), "base")
    _loaded(load, Located(url="s3://bucket/own"), None)
    (first, base), second, plain = given
    assert (first, base) == second
    assert base == "base"
    assert Path(first).read_bytes() == checkpoint.read_bytes()
    assert plain == ("s3://bucket/own", None)
    assert bodies(server) == 1


def test_a_file_in_the_way_of_a_name_is_said(
    registry: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "noto").write_bytes(checkpoint.read_bytes())
    with pytest.raises(InvalidCheckpointError, match=r"For the file of this name write \./noto\."):
        located("noto")
    registry.write_text(text_of(entry(checkpoint, str(checkpoint))))
    with caplog.at_level(logging.WARNING):
        assert located("noto").url == str(checkpoint)
    assert "the file of this name is ./noto" in caplog.text
    assert located("./noto") == Located(url="./noto")


KNOWN = ImageFacts(resolution=10.0, method="median")


def fitted(checkpoint: str, **sections: dict[str, Any]) -> object:
    content = {
        "region": {"bbox": [14.0, 46.0, 15.0, 47.0]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "model": {"checkpoint": checkpoint},
        "output": {"run": "runs/x"},
    }
    config = parse(ScanConfig, content | sections)
    return fitting_model(config.model, config.predict, observed_as(config.grid, config.composite, config.dem))


@pytest.fixture
def knowing(checkpoint: Path, tmp_path: Path) -> Path:
    """The checkpoint, whose card knows the size of its pixels."""
    net, card = restore(str(checkpoint))
    save(str(tmp_path / "knowing.safetensors"), net, replace(card, trained_on=KNOWN))
    return tmp_path / "knowing.safetensors"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bands": ["nir"]}, r"the registry says bands \['nir'\]; expected \['red'\]"),
        ({"radiometry": "rgb8"}, "the registry says radiometry rgb8; expected boa"),
        ({"trained_on": {"resolution": 20}}, r"the registry says trained_on\.resolution 20\.0; expected 10\.0"),
    ],
)
def test_an_entry_that_contradicts_the_card_is_refused(
    registry: Path, knowing: Path, change: dict[str, Any], said: str
):
    registry.write_text(text_of(entry(knowing, str(knowing), **change)))
    with pytest.raises(InvalidCheckpointError, match=said):
        fitted("noto")


def test_a_refusal_names_the_entry_that_would_fit_and_no_other(registry: Path, knowing: Path):
    others = [
        entry(knowing, "x", name="unknown-size"),
        entry(knowing, "x", name="coarse", trained_on={"resolution": 30}),
        entry(knowing, "x", name="display", radiometry="rgb8", trained_on={"resolution": 20}),
        entry(knowing, "x", name="relief", bands=["red", "slope"], trained_on={"resolution": 20}),
    ]
    registry.write_text(text_of(*others))
    with pytest.raises(InvalidCheckpointError, match="accept_resolution") as caught:
        fitted(str(knowing), grid={"resolution": 20})
    assert "is listed" not in str(caught.value)
    registry.write_text(text_of(*others, entry(knowing, "x", name="fine", trained_on={"resolution": 20.5})))
    with pytest.raises(InvalidCheckpointError, match=r"would fit is listed: model\.checkpoint: fine\.") as caught:
        fitted(str(knowing), grid={"resolution": 20})
    assert "model.accept_resolution: 10" in str(caught.value)
    with pytest.raises(InvalidCheckpointError, match=r"model\.checkpoint: relief\."):
        fitted(str(knowing), grid={"resolution": 20}, dem={"profile": "earth-search"})


def test_bands_that_want_an_elevation_model_name_one_without(
    registry: Path, checkpoint: Path, catalogue: tuple[str, Path], tmp_path: Path, typed: Type
):
    registry.write_text(text_of(entry(checkpoint, str(checkpoint), trained_on={"resolution": 10})))
    content = configured(catalogue, str(checkpoint), tmp_path / "run", dem={"profile": "earth-search"})
    (tmp_path / "scan.yaml").write_text(yaml.safe_dump(content))
    code, said = typed("plan", "--config", str(tmp_path / "scan.yaml"))
    assert code == 2
    assert "is listed" not in said  # red alone fits no `dem` either
    registry.write_text(text_of(entry(checkpoint, "x", bands=["red", "slope"], trained_on={"resolution": 10})))
    assert "would fit is listed: model.checkpoint: noto." in typed("plan", "--config", str(tmp_path / "scan.yaml"))[1]


def test_a_refusal_stays_itself_where_the_registry_is_broken(registry: Path, knowing: Path):
    registry.write_text("models: []")
    with pytest.raises(InvalidCheckpointError, match=r"trained on pixels of 10 m.*cannot be asked for another"):
        fitted(str(knowing), grid={"resolution": 20})
    with pytest.raises(InvalidConfigError, match="key models: unknown"):
        fitted("noto")
