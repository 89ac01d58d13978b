"""Others are told of new versions: by HTTP and by a local command, after publication, and never in its way.

What became of it is kept for each version (``told/<nnnn>.json`` in the event's folder): delivered, failed and why, or
given up. Versions are told in their order; where one fails, those after it wait for the next cycle. A process that ends
between the delivery and the record delivers again: receivers know a version by the Item's id, which is also the header
``Idempotency-Key``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from landslide_scale.errors import LandslideScaleError, TryAgainError
from landslide_scale.rapid.publication.settings import CommandConfig, WebhookConfig
from landslide_scale.rapid.publication.version import RESPONSE, folder_of, read_latest
from landslide_scale.reading.attempts import bounded, may_pass
from landslide_scale.redaction import keep_log_clean, sayable
from landslide_scale.storage.rundir import RunDirectory

log = logging.getLogger(__name__)
keep_log_clean("urllib3.connectionpool")

TOLD = "told"
"""Folder in the event's, of what became of each version."""

VARIABLE = "LANDSLIDE_SCALE_VERSION"
"""Of a command's environment: the Item's id."""

DELIVERED, FAILED, GIVEN_UP = "delivered", "failed", "given up"

_MOST_OF_ANSWER = 1 << 16
_ENDED_WITHIN_S = 5.0
_SUCCESS = range(200, 300)


class Hook(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """What the record calls it."""

    @property
    def cycles(self) -> int:
        """In how many cycles it is tried."""

    def tell(self, item: bytes, version: str) -> str:
        """Give it the Item of a version; why it was not taken, in one line without secrets, or nothing.

        Args:
            item: As it lies in the version's folder.
            version: Id of the Item.
        """


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of telling somebody.

    Attributes:
        state: One of `DELIVERED`, `FAILED`, `GIVEN_UP`; empty where it was not tried.
        cycles: In how many it was tried.
        why: Of the last failure, without secrets; empty where it was delivered.
    """

    state: str = ""
    cycles: int = 0
    why: str = ""


@dataclass(frozen=True)
class Webhook:
    """POSTs the Item; any answer of success is a delivery, and no redirect is followed.

    Args:
        config: Where to, and how often.
    """

    config: WebhookConfig
    name: str = "webhook"

    @property
    def cycles(self) -> int:
        """In how many cycles it is tried."""
        return self.config.cycles

    def tell(self, item: bytes, version: str) -> str:
        """Send it until it is taken, or refused for good."""
        attempts, place = self.config.attempts, _server(self.config.address)
        for number in range(1, attempts + 1):
            why, again = self._post(item, version)
            if not why:
                return ""
            if not again:
                return f"{place}: {why}"
            if number < attempts:
                time.sleep(self.config.first_wait_s * 2 ** (number - 1))
        return f"{place}: {why} at the last of {attempts} attempts"

    def _post(self, item: bytes, version: str) -> tuple[str, bool]:
        """Why an attempt failed, or nothing; and whether another one may do better."""
        try:
            status = bounded(lambda: self._status(item, version), self.config.timeout_s)
        except requests.RequestException as error:
            return type(error).__name__, True  # its text repeats the address
        except TryAgainError:
            return f"no answer within {self.config.timeout_s:g} s", True
        return "" if status in _SUCCESS else f"HTTP status {status}", may_pass(status)

    def _status(self, item: bytes, version: str) -> int:
        headers = {"Content-Type": "application/geo+json", "Idempotency-Key": version}
        with requests.post(
            self.config.address,
            data=item,
            headers=headers,
            timeout=self.config.timeout_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return int(answer.status_code)


@dataclass(frozen=True)
class Command:
    """Runs a program, with the Item on its standard input; an exit code of 0 is a delivery.

    Args:
        config: What is run.
    """

    config: CommandConfig
    name: str = "command"

    @property
    def cycles(self) -> int:
        """In how many cycles it is tried."""
        return self.config.cycles

    def tell(self, item: bytes, version: str) -> str:
        """Run it to its end, or end it with all that it started."""
        program = self.config.argv[0]
        try:
            process = subprocess.Popen(  # noqa: S603 what the user configured, without a shell
                self.config.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=os.environ | {VARIABLE: version},
            )
        except OSError as error:
            return f"{program}: cannot be started ({error.strerror})"
        with process:
            try:
                _, said = process.communicate(item, timeout=self.config.timeout_s)
            except subprocess.TimeoutExpired:
                _end(process)
                return f"{program}: not ended after {self.config.timeout_s:g} s"
        last = said[-_MOST_OF_ANSWER:].decode(errors="replace").strip().rpartition("\n")[2]
        return f"{program}: exit code {process.returncode} ({last or 'nothing said'})" if process.returncode else ""


def _server(address: str) -> str:
    """The part of an address that may be said: many hooks have their secret in the path."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started in its group."""
    for with_signal in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_ENDED_WITHIN_S)
            return


def hooks(webhook: WebhookConfig | None, command: CommandConfig | None) -> tuple[Hook, ...]:
    """Those that are configured."""
    found: list[Hook] = []
    if webhook is not None:
        found.append(Webhook(webhook))
    if command is not None:
        found.append(Command(command))
    return tuple(found)


def told(folder: RunDirectory, number: int) -> dict[str, Outcome]:
    """What became of telling of a version, by hook; nothing where nobody was told yet.

    Args:
        folder: The event's.
        number: Of the version.
    """
    name = _name(number)
    if not folder.exists(name):
        return {}
    try:
        content: Mapping[str, Any] = folder.read_json(name)
        return {hook: Outcome(**one) for hook, one in content.items()}
    except (ValueError, TypeError, AttributeError) as error:
        log.warning("%s: %s is something else (%s): all are told again", folder, name, sayable(str(error)))
        return {}


def tell_all(folder: RunDirectory, some: tuple[Hook, ...]) -> dict[int, dict[str, Outcome]]:
    """Tell everybody of all public versions that they have not taken; what became of those that were tried.

    Args:
        folder: The event's.
        some: Who is told.

    Raises:
        BrokenRunError: The folder cannot be read or written.
    """
    latest = read_latest(folder)
    tried: dict[int, dict[str, Outcome]] = {}
    stuck: set[str] = set()
    for number in range(latest.number + 1 if latest is not None else 0):
        before = told(folder, number)
        due = [hook for hook in some if hook.name not in stuck and _is_due(before.get(hook.name, Outcome()))]
        for hook in due:
            outcome = _tried(hook, folder, number, before.get(hook.name, Outcome()))
            before[hook.name] = outcome
            folder.write_json(_name(number), {name: asdict(one) for name, one in sorted(before.items())})
            tried.setdefault(number, {})[hook.name] = outcome
            if outcome.state == FAILED:
                stuck.add(hook.name)
    return tried


def _is_due(outcome: Outcome) -> bool:
    return outcome.state not in {DELIVERED, GIVEN_UP}


def _tried(hook: Hook, folder: RunDirectory, number: int, before: Outcome) -> Outcome:
    item = folder.read(f"{folder_of(number)}/{RESPONSE}")
    now = replace(before, cycles=before.cycles + 1)
    why = sayable(hook.tell(item, str(json.loads(item)["id"])))
    if not why:
        return replace(now, state=DELIVERED, why="")
    state = GIVEN_UP if now.cycles >= hook.cycles else FAILED
    log.warning("version %d of %s: %s %s (%s)", number, folder, hook.name, state, why)
    return replace(now, state=state, why=why)


def _name(number: int) -> str:
    return f"{TOLD}/{number:04d}.json"


class Herald:
    """Tells in a thread of its own, one event after the other, while the cycle goes on.

    Args:
        some: Who is told.
    """

    def __init__(self, some: tuple[Hook, ...]) -> None:
        self._some = some
        self._asked: queue.Queue[RunDirectory | None] = queue.Queue()
        self._waiting: set[str] = set()
        self._open = 0
        self._lock = threading.Condition()
        threading.Thread(target=self._work, name="herald", daemon=True).start()

    def tell(self, folder: RunDirectory) -> None:
        """Have all of an event's versions told that are not; at once, whatever becomes of it.

        Args:
            folder: The event's.
        """
        with self._lock:
            if not self._some or folder.url in self._waiting:
                return
            self._waiting.add(folder.url)
            self._open += 1
        self._asked.put(folder)

    def rest(self, seconds: float) -> bool:
        """Wait until all was told or tried, for so long at most; whether it was.

        What is not done then goes on; where the process ends first, the next cycle finds it untold.
        """
        with self._lock:
            return self._lock.wait_for(lambda: not self._open, timeout=seconds)

    def close(self) -> None:
        """Nothing more is asked for: the thread ends once all was told or tried."""
        self._asked.put(None)

    def _work(self) -> None:
        while (folder := self._asked.get()) is not None:
            with self._lock:
                self._waiting.discard(folder.url)  # what is published from here on is asked for anew
            try:
                tell_all(folder, self._some)
            except (LandslideScaleError, OSError, ValueError, KeyError) as error:
                log.warning("%s: nobody was told (%s); the next cycle tries again", folder, sayable(str(error)))
            finally:
                with self._lock:
                    self._open -= 1
                    self._lock.notify_all()
