"""How a command ends and speaks: exit codes, errors in one line, output at once."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable

from landslide_scale.errors import LandslideScaleError
from landslide_scale.redaction import without_secrets
from landslide_scale.runtime.stopping import Terminated, terminable

SIGNALLED = 128
"""As shells count: this and the number of the signal."""


def run_guarded(action: Callable[[], int], *, kept: str = "", by: str = "--resume") -> int:
    """The exit code of `action`: its own, that of an error of ours (said in one line), or that of a signal.

    Any other error is a fault of this package, and said with its trace, in which libraries may have put an address with
    its keys: they are cut, as in everything else that is said.

    Args:
        action: What to do.
        kept: Subject and verb of what a stopped run leaves to go on from; empty where it leaves nothing.
        by: What goes on from there.
    """
    try:
        with terminable():
            return action()
    except LandslideScaleError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"stopped; {kept} kept, and {by} goes on from there\n" if kept else "stopped\n")
        return SIGNALLED + (stopped.number if isinstance(stopped, Terminated) else signal.SIGINT)
    except Exception as error:  # noqa: BLE001 the last line of defence: Python would print it as it is
        sys.stderr.write(without_secrets("".join(traceback.format_exception(error))))
        return LandslideScaleError.exit_code


def say(text: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
