"""The folder of a run: its files, and what it says of itself."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from landslide_scale.errors import RunConflictError
from landslide_scale.storage.folder import Folder

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

_BEFORE = ("lease-", f"{RUN}.")
"""How the names begin of what a driver leaves that was killed before it said what its run is."""

_NAMED = 3
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

    def claim(self, kind: str, settings: dict[str, Any], *, resume: bool) -> None:
        """Take the folder for a run of these settings, or find the same run to go on with.

        Raises:
            RunConflictError: It holds a run that is not to be resumed, or one of another kind or other settings.
        """
        if not self.exists(RUN):
            self.check_free()
            named = {"kind": kind, "id": secrets.token_hex(8)}
            self.write_json(RUN, named | {"settings": settings, "state": "running", **_environment()})
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

        Args:
            session: What tells it from every other driver.
        """
        facts = self.facts()
        known = facts.get("sessions", [])
        now = {"id": session, **_environment(), "host": _host()}
        for line in _changed_since((known or [facts])[-1], now):
            log.warning("%s: %s", self, line)
        self.note(sessions=[*known, now])
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
        try:
            found = self.read_json(RUN)
        except FileNotFoundError as error:
            raise RunConflictError(
                f"no {RUN}", expected="the folder of a run", cure="Give the folder named in output.run.", run=self
            ) from error
        except ValueError as error:
            raise self._other(f"{type(error).__name__}: {error}") from error
        if not isinstance(found, dict):
            raise self._other(f"a {type(found).__name__} of JSON")
        return found

    def _other(self, why: str) -> RunConflictError:
        return RunConflictError(
            f"a {RUN} of something else, or a damaged one ({why})",
            expected="an empty folder, or a run of this package",
            cure="Bring it back from a copy, or choose another output.run.",
            run=self,
        )

    def note(self, **facts: object) -> None:
        """Add facts to run.json."""
        self.write_json(RUN, self.facts() | facts)


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
