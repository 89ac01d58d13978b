"""A first connection to a cluster, in a process of its own that can be ended.

Ray may wait without a bound, end the process that it is imported in, and fill standard error with its own log. The
child connects just as the run will; what comes of it is one line of JSON on its standard output, and what its Ray
wrote is read and not shown. Its environment is the run's, but for the record of a submitted job: it is no driver of it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass

LIMIT_S = 60.0
"""For the whole of it. Ray itself takes 20 s to tell that a token is refused."""

_OF_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_WORDS = 20_000


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a connection.

    Attributes:
        joined: Address of the cluster's head; empty where there was no connection.
        error: Class and text of what Ray raised; empty where it ended, or was ended, without a word.
        log: The end of what it wrote.
        late: Whether the limit ended it.
    """

    joined: str
    error: str = ""
    log: str = ""
    late: bool = False


def tried(address: str) -> Trial:
    """Connect to a cluster and leave it again."""
    environment = {name: value for name, value in os.environ.items() if name != _OF_A_JOB}
    command = [sys.executable, "-m", __name__, address]
    try:
        done = subprocess.run(  # noqa: S603 our own module
            command, capture_output=True, env=environment, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        return Trial(joined="", late=True, log=_text(error.stderr))
    for line in reversed(_text(done.stdout).splitlines()):
        if line.startswith("{"):
            return Trial(**json.loads(line), log=_text(done.stderr))
    return Trial(joined="", log=_text(done.stderr))


def _text(said: bytes | None) -> str:
    return (said or b"").decode(errors="replace")[-_WORDS:]


def _try(address: str) -> dict[str, object]:
    import ray  # noqa: PLC0415 in the child alone

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # noqa: BLE001 Ray raises plain ones too; all are told to the parent
        chain: list[str] = []
        one: BaseException | None = error
        while one is not None:
            chain.append(f"{type(one).__name__}: {one}")
            one = one.__cause__ or one.__context__
        return {"joined": "", "error": "\n".join(chain)}
    address = ray.get_runtime_context().gcs_address
    ray.shutdown()
    return {"joined": address}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_try(sys.argv[1])) + "\n")
