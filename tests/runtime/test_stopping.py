"""Commands stopped by signals: one line, the signal's exit code, nothing left running.

What each of the three runs leaves is shown by the slow tests, in processes of their own; what they share, at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import psutil
import pytest
from helpers.borderland import configured, served, untrained
from PIL import Image

from landslide_scale.runtime.console import run_guarded
from landslide_scale.runtime.stopping import Terminated, terminable

TINY = {"sam": "vit_t", "upsample": 1}
TRAIN = {"epochs": 10_000, "batch": 4, "patch": 32, "precision": "float32"}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def pairs(root: Path) -> dict[str, str]:
    rng = np.random.default_rng(0)
    for number in range(8):
        label = np.zeros((32, 32), np.uint8)
        label[8:20, 8:20] = 255
        image = rng.integers(0, 99, (32, 32, 3), np.uint8) + label[..., None] // 2
        for folder, array in (("image", image), ("mask", label)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{number}.png")
    return {"kind": "pairs", "path": str(root)}


def stopped(command: str, settings: dict[str, object], folder: Path, sent: signal.Signals, begun: Path) -> str:
    """What a command said on stderr when the signal came, once the file `begun` was there."""
    (folder / "run.yaml").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    line = [sys.executable, "-m", "landslide_scale", command, "--config", str(folder / "run.yaml")]
    with subprocess.Popen(
        line, start_new_session=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 240
        while not begun.exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(sent)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == CODES[sent], said
    assert psutil.wait_procs(family, timeout=30)[1] == []
    return said


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("sent", CODES)
def test_a_stopped_benchmark_says_one_line_and_leaves_nothing_running(sent: signal.Signals, tmp_path: Path):
    run = tmp_path / "run"
    settings = {"datasets": {"made": pairs(tmp_path / "data")}, "models": {"tiny": TINY}, "train": TRAIN}
    begun = run / "trials" / "made-tiny-0" / "checkpoint.safetensors"
    said = stopped("benchmark", settings | {"output": {"run": str(run)}}, tmp_path, sent, begun)
    assert said == "stopped; finished trainings and epochs are kept, and --resume goes on from there\n"


@pytest.mark.slow
@pytest.mark.ray
def test_a_stopped_fine_tuning_says_one_line_and_leaves_nothing_running(tmp_path: Path):
    run = tmp_path / "run"
    settings = {"dataset": pairs(tmp_path / "data"), "model": TINY, "train": TRAIN, "output": {"run": str(run)}}
    said = stopped("finetune", settings, tmp_path, signal.SIGTERM, run / "checkpoint.safetensors")
    assert said == "stopped; finished epochs are kept, and --resume goes on from there\n"


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("sent", CODES)
def test_a_stopped_scan_says_one_line_and_leaves_nothing_running(sent: signal.Signals, tmp_path: Path):
    checkpoint = untrained(tmp_path / "model.safetensors", ("red",), "boa")
    (tmp_path / "scenes").mkdir()
    with served(tmp_path / "scenes") as url:
        # So short a window that two passes over it are not suspiciously few.
        window = {"start": "2023-08-01", "end": "2023-08-11"}
        settings = configured((url, tmp_path / "scenes"), checkpoint, tmp_path / "run", windows=[window])
        said = stopped("scan", settings, tmp_path, sent, tmp_path / "run" / "ledger" / "units")
    assert said == "stopped; finished units are kept, and --resume goes on from there\n"
    assert not list((tmp_path / "run").glob("lease-*"))


@pytest.mark.parametrize("sent", CODES)
def test_a_signal_is_an_exit_code_and_a_line(sent: signal.Signals, capsys: pytest.CaptureFixture[str]):
    # Where the tests themselves run in the background, Ctrl-C is not heard.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run_guarded(lambda: os.kill(os.getpid(), sent) or 0) == CODES[sent]
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "stopped\n"


def interrupted_as_ray_does() -> None:
    with terminable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Terminated:
            raise KeyboardInterrupt from None


def test_a_termination_stays_one_where_a_library_made_a_plain_interruption_of_it():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated):
        interrupted_as_ray_does()
    with pytest.raises(KeyboardInterrupt) as raised, terminable():
        raise KeyboardInterrupt
    assert raised.type is KeyboardInterrupt
    assert signal.getsignal(signal.SIGTERM) is before


def cleaned_up(sent: signal.Signals, again: list[int]) -> None:
    with terminable(), terminable():  # as a session of Ray's does within a command
        try:
            os.kill(os.getpid(), sent)
        finally:
            for number in (*CODES, *CODES):
                os.kill(os.getpid(), number)
                again.append(number)


@pytest.mark.parametrize("sent", CODES)
def test_further_signals_do_not_disturb_the_cleaning_up(sent: signal.Signals):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    again: list[int] = []
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            cleaned_up(sent, again)
    finally:
        signal.signal(signal.SIGINT, before)
    assert again == [*CODES, *CODES]
    assert isinstance(raised.value, Terminated) == (sent != signal.SIGINT)


def rays(number: int, _frame: object) -> NoReturn:
    """What Ray's own handler of SIGTERM does, from its start on."""
    sys.exit(number)


def in_a_session(body: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, rays)
    with terminable():
        body()


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(params=["all", "only SIGTERM"])
def heard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Which signals are not ignored: nohup ignores SIGHUP, and a shell that begins one in the background SIGINT."""
    others = [signal.SIGINT, signal.SIGHUP]
    ways = [signal.default_int_handler, signal.SIG_DFL] if request.param == "all" else [signal.SIG_IGN] * 2
    before = {number: signal.signal(number, way) for number, way in zip(others, ways, strict=True)}
    before[signal.SIGTERM] = signal.getsignal(signal.SIGTERM)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heard")
def test_a_signal_after_a_session_of_ray_is_answered_as_before_it(capsys: pytest.CaptureFixture[str]):
    before, done = signal.getsignal(signal.SIGTERM), list[str]()

    def action() -> int:
        try:
            in_a_session(lambda: None)
            terminate()
        finally:
            done.append("given back")
        return 0

    assert run_guarded(action, kept="finished units are") == 143
    assert capsys.readouterr().err == "stopped; finished units are kept, and --resume goes on from there\n"
    assert done == ["given back"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("heard")
def test_a_second_signal_does_not_disturb_the_cleaning_up_after_a_session(capsys: pytest.CaptureFixture[str]):
    done: list[str] = []

    def action() -> int:
        try:
            in_a_session(terminate)
        finally:
            terminate()
            done.append("given back")
        return 0

    assert run_guarded(action) == 143
    assert capsys.readouterr().err == "stopped\n"
    assert done == ["given back"]


def test_what_is_ignored_when_a_command_begins_stays_ignored_as_of_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


HANGS = """
import os, signal, sys, time
from landslide_scale.runtime import stopping
from landslide_scale.runtime.console import run_guarded
stopping.END_S = 0.5
stopping.end_in_time()
def action():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
    finally:
        time.sleep(3600)
sys.exit(run_guarded(action))
"""


EXITS = """
import atexit, os, signal, sys
from landslide_scale.runtime import stopping
from landslide_scale.runtime.console import run_guarded
stopping.end_in_time()
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(lambda: [os.kill(os.getpid(), number) for number in (1, 2, 15)])
sys.exit(run_guarded(lambda: os.kill(os.getpid(), signal.SIGINT)))
"""


def test_signals_while_a_stopped_command_exits_are_not_heeded():
    ended = subprocess.run([sys.executable, "-c", EXITS], capture_output=True, text=True, timeout=250, check=False)
    assert (ended.returncode, ended.stderr) == (130, "stopped\n")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_ends_in_time_whatever_its_cleaning_up_waits_for(sent: signal.Signals):
    command = [sys.executable, "-c", HANGS, str(int(sent))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert ended.returncode == CODES[sent]
    assert ended.stderr == "what was cleaned up took longer than 0 s, and was left\n"
