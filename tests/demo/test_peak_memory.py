from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from landslide_scale.demo import memory

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not say")


def test_what_descendants_take_is_counted_and_kept_after_they_have_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "EVERY_S", 0.02)
    hungry = "import time; taken = b'x' * (250 << 20); print('ready', flush=True); time.sleep(60)"
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
    assert 200 * MIB < peak.most - before < 350 * MIB  # what else there is here may have grown less meanwhile


def test_where_the_system_does_not_say_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    with memory.watched() as peak:
        pass
    assert peak.most is None
