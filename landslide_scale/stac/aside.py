"""Scenes that a run is done without: decided once, and kept in its folder beside the Items.

A scene is evidence, not a precondition: one whose Item lacks something, or of which something stays unreadable, is
taken out, and what it would have helped to see is seen without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from landslide_scale.scene import Unused, utc
from landslide_scale.storage.folder import as_json
from landslide_scale.storage.owned import read_own_json
from landslide_scale.storage.rundir import RunDirectory

ASIDE = "set_aside.json"
EXCLUDED = "left out by catalog.exclude"

_CURE = "Bring it back from a copy, or remove it: --resume finds out anew which scenes cannot be read."


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """Scenes that are not used, whatever they are like otherwise.

    Attributes:
        rejected: Those whose Item lacks something.
        excluded: Those that are left out on purpose.
        unreadable: Why, by the id of each scene of which something cannot be read, for good.
    """

    rejected: tuple[Unused, ...] = ()
    excluded: tuple[Unused, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def bad(self) -> frozenset[str]:
        """Ids of all but those that are left out on purpose."""
        return frozenset({scene.id for scene in self.rejected} | self.unreadable.keys())


NOTHING_ASIDE = SetAside()


def load_aside(run: RunDirectory) -> SetAside:
    """What was decided in a run so far.

    Raises:
        RunConflictError: The file that says so is damaged.
    """
    return read_own_json(run, ASIDE, _aside, cure=_CURE) if run.exists(ASIDE) else SetAside()


def _aside(content: Mapping[str, Any]) -> SetAside:
    return SetAside(
        rejected=tuple(map(_unused, content["rejected"])),
        excluded=tuple(map(_unused, content["excluded"])),
        unreadable=dict(content["unreadable"]),
    )


def keep_aside(run: RunDirectory, aside: SetAside) -> None:
    """Write down what is decided, where anything is or was."""
    if aside != load_aside(run):
        run.write(ASIDE, written_down(aside))


def written_down(aside: SetAside) -> bytes:
    """What is decided, as :func:`load_aside` reads it."""
    content = asdict(aside) | {name: list(map(_plain, getattr(aside, name))) for name in ("rejected", "excluded")}
    return as_json(content)


def _plain(scene: Unused) -> dict[str, Any]:
    return asdict(scene) | {"sensed": scene.sensed and scene.sensed.isoformat()}


def _unused(content: Mapping[str, Any]) -> Unused:
    sensed = content["sensed"] and utc(content["sensed"])
    return Unused(**{**content, "sensed": sensed, "bounds": tuple(content["bounds"])})
