"""Where a map is from: scenes, model, versions, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from landslide_scale.products.scanned import Scanned
from landslide_scale.stac.aside import load_aside

MOST_NAMED = 500
"""Scenes, and units, that a page names."""


@dataclass(frozen=True, kw_only=True)
class Used:
    """A scene that the map was made of.

    Attributes:
        id: The catalogue's.
        offset: What was added to its digital numbers.
        rule: Why that.
        resampled: In how many units it was.
        units: How many used it.
    """

    id: str
    offset: int
    rule: str
    resampled: int
    units: int


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a map is made of.

    Attributes:
        facts: Words and what they say.
        used: Scenes, by id.
        not_used: Id and reason of each scene that was left out.
        missing: Units that failed or were not come to.
    """

    facts: tuple[tuple[str, str], ...]
    used: tuple[Used, ...]
    not_used: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


def origin(of: Scanned) -> Origin:
    """What a scan says of itself."""
    return Origin(
        facts=tuple((words, text) for words, text in _facts(of) if text),
        used=_used(of),
        not_used=tuple(sorted(_not_used(of).items())),
        missing=of.missing,
    )


def _facts(of: Scanned) -> Iterator[tuple[str, str]]:
    facts, said = of.facts, of.said
    yield "model (SHA-256 of the checkpoint)", str(said.get("checkpoint_sha256", ""))
    yield "threshold of the probability, as it is stored", f"{of.threshold:g}" if of.learned else ""
    yield "threshold of the checkpoint", f"{of.checkpoint_threshold:g}" if of.learned else ""
    yield "model was trained by", _pairs(said.get("training"))
    yield "model was trained on", _pairs(said.get("trained_on"))
    yield "must be said of it", str(said.get("caveat", ""))
    yield "cube (SHA-256 over what its ledger says is stored)", of.cube_sha256
    yield "catalogue", _pairs(facts["settings"].get("catalog"))
    yield "composite", _pairs(facts["settings"].get("composite"))
    yield "elevation model, tiles", f"{len(facts['dem']):,}" if facts.get("dem") else ""
    yield "run begun", str(facts.get("begun", ""))
    yield "run is", str(facts.get("state", ""))
    yield "versions", _pairs(facts.get("versions"))
    yield "commit", str(facts.get("git_commit", ""))


def _pairs(said: object) -> str:
    if not isinstance(said, dict):
        return str(said or "")
    return ", ".join(f"{name} {_plain(value)}" for name, value in said.items() if value not in (None, "", []))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return f"({_pairs(value)})"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _used(of: Scanned) -> tuple[Used, ...]:
    units: dict[str, Used] = {}
    for place in of.done:
        for scene in of.records[place.id].scenes:
            if "offset" not in scene:
                continue
            before = units.get(scene["id"])
            units[scene["id"]] = Used(
                id=scene["id"],
                offset=scene["offset"],
                rule=scene["rule"],
                resampled=(before.resampled if before else 0) + bool(scene.get("resampled")),
                units=(before.units if before else 0) + 1,
            )
    return tuple(units[name] for name in sorted(units))


def _not_used(of: Scanned) -> dict[str, str]:
    """Every scene that was left out, and why: as planned, and as decided before or while the scan ran."""
    aside = load_aside(of.run)
    known = {scene.id: scene.quarantine for scene in (*aside.rejected, *aside.excluded)}
    return {**known, **dict(of.facts.get("quarantined", {})), **aside.unreadable}
