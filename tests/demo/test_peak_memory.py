from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landslide_scale.demo import memory

MIB = 1 << 20
HUNGRY = 64 * MIB

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not say")


def test_what_descendants_take_is_counted_and_kept_after_they_have_ended():
    assert grown_by(HUNGRY) - grown_by(0) == pytest.approx(HUNGRY, abs=8 * MIB)


def grown_by(taken: int) -> int:
    """The peak's growth, from a process that does nothing else: what these tests' own gives back is not in it."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_peak_memory as t; "
    command = [sys.executable, "-c", f"{script}t.watch({taken})"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def watch(taken: int) -> None:
    """Print by how much the peak grew while a grandchild took so many bytes, looking after both have ended."""
    memory.EVERY_S = 0.02
    # A child that has not come to its program yet shares all of its parent's memory, which is then counted for both.
    subprocess._USE_VFORK = False  # type: ignore[attr-defined]
    hungry = f"import time; taken = b'x' * {taken}; print('ready', flush=True); time.sleep(60)"
    between = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    with memory.watched() as peak:
        looks = counted(peak)
        wait_for_looks(looks)
        before = peak.most
        process = subprocess.Popen([sys.executable, "-c", between], stdout=subprocess.PIPE, process_group=0)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            wait_for_looks(looks)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
    assert before is not None
    assert peak.most is not None
    print(peak.most - before)  # noqa: T201 for the test that began this


def counted(peak: memory.Peak) -> list[int | None]:
    """What had been seen after each look from now on."""
    looks, look = list[int | None](), peak.look

    def and_count() -> None:
        look()
        looks.append(peak.most)

    peak.look = and_count  # type: ignore[method-assign]
    return looks


def wait_for_looks(looks: list[int | None]) -> None:
    """Return after a whole look that began no earlier than now, however busy the machine is."""
    enough, give_up = len(looks) + 2, time.monotonic() + 60
    while len(looks) < enough:
        assert time.monotonic() < give_up, "nobody looks"
        time.sleep(0.01)


def test_where_the_system_does_not_say_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    with memory.watched() as peak:
        pass
    assert peak.most is None
