"""The folder of a run: its files, and what it says of itself."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from landslide_scale.errors import BrokenRunError, RunConflictError
from landslide_scale.paths import NODE_MARK
from landslide_scale.storage.conditional import Version
from landslide_scale.storage.folder import Folder, as_json

RECORDED = (
    "landslide-scale",
    "torch",
    "segment-anything",
    "segmentation-models-pytorch",
    "timm",
    "ray",
    "zarr",
    "xarray",
    "rasterio",
    "pystac-client",
)

RUN = "run.json"
"""What a folder says of the run in it."""

LEASE = "lease-"
"""How the names of leases begin."""

_BEFORE = (LEASE, f"{RUN}.", NODE_MARK)
"""How the names begin of what a driver leaves that was killed before it said what its run is."""

_NAMED = 3
_TRIES = 20
_CLAIMED = ("kind", "settings", "state")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """How what is written is signed.

    Attributes:
        run: The run's id; empty of one that was begun before runs had one.
        session: The driver's; empty where there is none.
    """

    run: str = ""
    session: str = ""


UNSIGNED = Stamp()


class RunDirectory(Folder):
    """Files below one path or fsspec URL, which one run is in.

    Args:
        url: The folder; it need not exist.
    """

    _session = ""
    """Of the driver that goes on with the run by this very object."""

    def claim(self, kind: str, settings: dict[str, Any], *, resume: bool) -> None:
        """Take the folder for a run of these settings, or find the same run to go on with.

        Raises:
            RunConflictError: It holds a run that is not to be resumed, or one of another kind or other settings.
        """
        if not self.exists(RUN):
            self.check_free()
            named = {"kind": kind, "id": secrets.token_hex(8)}
            begun = named | {"settings": settings, "state": "running", **_environment()}
            if self.swap(RUN, None, as_json(begun)):
                return
        self.match(kind, settings)
        if not resume:
            raise RunConflictError(
                f"a {kind} run that is {self.claimed()['state']}",
                expected="an empty folder",
                cure="Go on with it by --resume, or choose another output.run.",
                run=self,
            )

    def check_free(self) -> None:
        """Make sure that a run may begin here: nothing is there but what drivers leave that were killed before.

        Raises:
            RunConflictError: Something is there, and no run that could be gone on with.
        """
        found = [] if self.exists(RUN) else [name for name in self.names("", "") if not name.startswith(_BEFORE)]
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            raise RunConflictError(
                f"no {RUN}, but {', '.join(found[:_NAMED])}{more}",
                expected="an empty folder",
                cure=f"Choose another, or empty this one: a run whose {RUN} is lost cannot be gone on with.",
                run=self,
            )

    def enter(self, session: str) -> Stamp:
        """Say that a driver goes on with the run here, and with what; how it signs what it writes.

        From then on no driver of before replaces what is said of the run, whenever it was paused.

        Args:
            session: What tells it from every other driver.

        Raises:
            BrokenRunError: Another driver has entered meanwhile.
        """
        now = {"id": session, **_environment(), "host": _host()}
        facts, self._session = self.facts(), ""
        if session not in _sessions(facts):
            for line in _changed_since((facts.get("sessions") or [facts])[-1], now):
                log.warning("%s: %s", self, line)
        while session not in _sessions(facts):
            self._change(lambda known: known | {"sessions": [*known.get("sessions", []), now]})
            # Who was paused right before its rename cannot do it any more; who had not come so far sees our session.
            self.remove_partial_files(but=LEASE)
            facts = self.facts()
        self._session = session
        self._check_last(facts)
        return Stamp(run=str(facts.get("id", "")), session=session)

    def stamp(self) -> Stamp:
        """The run here, of no driver; of no run where there is none.

        Raises:
            RunConflictError: What is said of it cannot be read.
        """
        return Stamp(run=str(self.facts().get("id", ""))) if self.exists(RUN) else UNSIGNED

    def match(self, kind: str, settings: dict[str, Any]) -> None:
        """Make sure that the run here is one of these settings.

        Raises:
            RunConflictError: It is of another kind, or has other settings.
        """
        known = self.claimed()
        if known["kind"] != kind or known["settings"] != settings:
            changed = _difference(known | {"state": None}, {"kind": kind, "settings": settings, "state": None})
            raise RunConflictError(
                f"a {known['kind']} run with other settings ({changed.replace('settings.', '')})",
                expected="an empty folder, or the same run",
                cure="Choose another output.run.",
                run=self,
            )

    def claimed(self) -> dict[str, Any]:
        """Kind, settings and state of the run here.

        Raises:
            RunConflictError: There is none.
        """
        facts = self.facts()
        if lacking := [key for key in _CLAIMED if key not in facts]:
            raise self._other(f"it says nothing of {', '.join(lacking)}")
        return {key: facts[key] for key in _CLAIMED}

    def facts(self) -> dict[str, Any]:
        """All that is said of the run here.

        Raises:
            RunConflictError: There is none, or it cannot be read.
        """
        return self._said(lambda: Version(content=self.read(RUN)))[0]

    def _said(self, read: Callable[[], Version]) -> tuple[dict[str, Any], Version]:
        """What is said, and the version of the file that says it."""
        try:
            version = read()
            found = json.loads(version.content)
        except FileNotFoundError as error:
            raise RunConflictError(
                f"no {RUN}", expected="the folder of a run", cure="Give the folder named in output.run.", run=self
            ) from error
        except ValueError as error:
            raise self._other(f"{type(error).__name__}: {error}") from error
        if not isinstance(found, dict):
            raise self._other(f"a {type(found).__name__} of JSON")
        return found, version

    def _other(self, why: str) -> RunConflictError:
        return RunConflictError(
            f"a {RUN} of something else, or a damaged one ({why})",
            expected="an empty folder, or a run of this package",
            cure="Bring it back from a copy, or choose another output.run.",
            run=self,
        )

    def note(self, **facts: object) -> None:
        """Add facts to run.json.

        Raises:
            BrokenRunError: Another driver has entered since this one did.
        """
        self._change(lambda known: known | facts)

    def _change(self, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Replace run.json as it is by what it is to be, whoever else does so at the same time."""
        for _ in range(_TRIES):
            known, version = self._said(lambda: self.version(RUN))
            self._check_last(known)
            content = as_json(changed(known))
            if content == version.content or self.swap(RUN, version, content):
                return
        raise self._overtaken()

    def _check_last(self, facts: Mapping[str, Any]) -> None:
        """Make sure that no driver has entered after this one, if it is a driver.

        Raises:
            BrokenRunError: Another one has.
        """
        if self._session and _sessions(facts)[-1:] != [self._session]:
            raise self._overtaken()

    def _overtaken(self) -> BrokenRunError:
        return BrokenRunError(
            "another driver goes on with this run",
            expected="one driver at a time",
            cure="See whether it is still at work; else --resume goes on from here.",
            run=self,
        )


def _sessions(facts: Mapping[str, Any]) -> list[str]:
    """Of the drivers that went on with a run, in that order."""
    return [str(one.get("id")) for one in facts.get("sessions", [])]


def _difference(known: Any, wanted: Any, key: str = "") -> str:  # noqa: ANN401 JSON
    """The first few keys that differ."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        parts = [
            _difference(known.get(name), wanted.get(name), f"{key}.{name}".lstrip("."))
            for name in sorted(known.keys() | wanted.keys())
            if known.get(name) != wanted.get(name)
        ]
        return "; ".join(part for part in parts if part)
    return f"{key}: {json.dumps(known)} there, {json.dumps(wanted)} now"


def _environment() -> dict[str, Any]:
    return {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in RECORDED}},
        "git_commit": commit(),
    }


def _host() -> dict[str, Any]:
    """What kind of machine this is; not which."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
    }


def _changed_since(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What a run is gone on with that it was not begun with, or gone on with before."""
    known = before.get("versions", {})
    for name, found in now["versions"].items():
        if name in known and known[name] != found:
            yield f"the run was worked on with {name} {known[name]}, and goes on with {found}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Of the checkout that the package runs from; empty where it is installed."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
