"""How a command ends and speaks: exit codes, errors in one line, output at once."""

from __future__ import annotations

import sys
from collections.abc import Callable

from landslide_scale.errors import LandslideScaleError

CTRL_C = 130


def run_guarded(action: Callable[[], int]) -> int:
    """The exit code of `action`: its own, that of an error of ours (said in one line), or 130 after Ctrl-C."""
    try:
        return action()
    except LandslideScaleError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped; --resume goes on from here\n")
        return CTRL_C


def say(text: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
