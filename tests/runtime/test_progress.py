"""Progress on a real terminal, and where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

SCRIPT = """
import time
from landslide_scale.runtime.progress import Line
line = Line()
for done in range(5):
    line(done, 4, f"{done}/4 units, " + "many words " * 20)
    time.sleep(0.25)
"""
CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def on_terminal(columns: int, **environment: str) -> str:
    """What a terminal of so many columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=theirs, stdout=theirs, env=known | {"TERM": "xterm"} | environment
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    assert process.returncode == 0
    return said.decode()


@pytest.mark.parametrize("columns", [30, 70, 160])
def test_on_a_terminal_one_line_is_written_over_and_never_wraps(columns: int):
    said = on_terminal(columns)
    lines = [CODES.sub("", part) for part in said.split("\r\x1b[2K")[1:]]
    assert len(lines) == 5
    assert all(len(line.rstrip("\r\n")) < columns for line in lines)
    assert [re.search(r"\d+%", line)[0] for line in lines] == ["0%", "25%", "50%", "75%", "100%"]
    assert said.count("\n") == 1
    assert said.endswith("\n")


def test_a_terminal_is_left_as_it_was():
    assert "\x1b[?" not in on_terminal(80)  # no cursor is hidden, no screen changed


def test_a_terminal_without_colours_or_letters_is_no_obstacle():
    said = on_terminal(80, NO_COLOR="1", PYTHONIOENCODING="ascii")
    assert "100% 4/4 units" in CODES.sub("", said)
    assert said.isascii()


@pytest.mark.parametrize("terminal", [True, False])
def test_elsewhere_lines_are_whole_and_sparse(terminal: bool):  # noqa: FBT001
    if terminal:
        said = on_terminal(80, TERM="dumb").replace("\r\n", "\n")
    else:
        said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    words = "many words " * 20
    assert said == f"0/4 units, {words}\n4/4 units, {words}\n"
