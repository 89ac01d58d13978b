"""Commands of ours as processes of their own, many one after the other: each is forked where all is imported already.

As a program (``python -m helpers.commanded``) it reads a line of JSON for each: arguments, and files for what is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO

HELPERS = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended: its exit code (negative: a signal's), standard output and error."""

    code: int
    out: str
    err: str


@dataclass(kw_only=True)
class Commands:
    """A process from which commands are forked."""

    folder: Path
    to: IO[str]
    back: IO[str]
    numbers: Iterator[int] = field(default_factory=count)

    def run(self, *arguments: str) -> Said:
        """One command, to its end."""
        number = next(self.numbers)
        files = [self.folder / f"{number}.{name}" for name in ("out", "err")]
        self.to.write(json.dumps([list(arguments), *map(str, files)]) + "\n")
        self.to.flush()
        code = int(self.back.readline())
        out, err = (path.read_text() for path in files)
        return Said(code=code, out=out, err=err)


@contextmanager
def commands(folder: Path, **environment: str) -> Iterator[Commands]:
    """Commands that wait for nobody twice, in this environment; what they say is kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-m", "helpers.commanded"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment | {"PYTHONPATH": path},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Commands(folder=folder, to=process.stdin, back=process.stdout)
        process.stdin.close()


def _command(arguments: Sequence[str], out: str, err: str) -> int:
    """Become the command; its exit code."""
    from landslide_scale.cli import main  # noqa: PLC0415 here alone, in the program
    from landslide_scale.storage.absence import patient  # noqa: PLC0415

    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = ["landslide-scale", *arguments]
    try:
        with patient(0):
            main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _serve() -> None:
    from landslide_scale.commands import configurations, scanning, training  # noqa: F401, PLC0415 imported once for all
    from landslide_scale.reading import asking, attempts  # noqa: PLC0415
    from landslide_scale.storage import absence, cache  # noqa: PLC0415

    attempts.FIRST_WAIT_S = absence.FIRST_WAIT_S = 0.001
    asking.ATTEMPTS, cache.WRITER_S = 2, 0.0
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = _command(*json.loads(line))
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
