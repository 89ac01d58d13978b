from __future__ import annotations

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
    """Watched from a process that does nothing else: what these tests' own gives back meanwhile is not in it."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_peak_memory as t; t.watch()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    grown = int(done.stdout)
    assert HUNGRY < grown < HUNGRY + 30 * MIB  # and two interpreters


def watch() -> None:
    """Print by how much the peak grew while a grandchild took its memory, looking after both have ended."""
    memory.EVERY_S = 0.02
    hungry = f"import time; taken = b'x' * {HUNGRY}; print('ready', flush=True); time.sleep(60)"
    between = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    with memory.watched() as peak:
        time.sleep(0.2)
        before = peak.most
        process = subprocess.Popen([sys.executable, "-c", between], stdout=subprocess.PIPE, process_group=0)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.5)
        finally:
            subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=True)
            process.wait()
            process.stdout.close()
    assert before is not None
    assert peak.most is not None
    print(peak.most - before)  # noqa: T201 for the test that began this


def test_where_the_system_does_not_say_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    with memory.watched() as peak:
        pass
    assert peak.most is None
