"""What a person sees of a registry."""

from __future__ import annotations

from collections.abc import Sequence

from landslide_scale.provenance import ImageFacts
from landslide_scale.redaction import redacted
from landslide_scale.registry.entries import Listed
from landslide_scale.registry.packaged import PACKAGED, WHY_NONE
from landslide_scale.storage.cache import kept_copy
from landslide_scale.storage.files import local_path

_MB = 1e6


def list_lines(known: Sequence[Listed], registry: str) -> list[str]:
    """All checkpoints, a line each, and where the user's own are listed."""
    lines = [_line(one) for one in known]
    lines += [] if PACKAGED else [WHY_NONE]
    own = len(known) - len(PACKAGED)
    return [*lines, f"your registry: {redacted(registry)}, {own} checkpoint{'' if own == 1 else 's'}"]


def _line(one: Listed) -> str:
    entry = one.entry
    size = f"{entry.bytes / _MB:.1f} MB"
    return ", ".join((f"{entry.name}: {' '.join(entry.bands)}", entry.radiometry, _pixels(one), size, entry.licence))


def _pixels(one: Listed) -> str:
    metres = one.entry.trained_on.resolution
    return "pixels of unknown size" if metres is None else f"pixels of {metres:g} m"


def show_lines(one: Listed) -> list[str]:
    """All that is known of a checkpoint, and whether it is on this machine."""
    entry = one.entry
    known = {} if entry.trained_on == ImageFacts() else entry.trained_on.known
    told = {key: value for key, value in known.items() if value is not None}
    pairs = {
        "name": entry.name,
        "file": redacted(one.url),
        "bytes": f"{entry.bytes:,}",
        "sha256": entry.sha256,
        "bands": ", ".join(entry.bands),
        "radiometry": entry.radiometry,
        "trained on": ", ".join(f"{key} {_plain(value)}" for key, value in told.items())
        or "images of which nothing is known",
        "data": entry.data,
        "licence": entry.licence,
        **{f"held out, {scored.region}": f"landslide F1 {scored.f1:g}" for scored in entry.held_out},
        "listed in": redacted(one.registry) or "this package",
        "on this machine": _here(one),
    }
    return [f"{key}: {value}" for key, value in pairs.items()]


def _plain(value: object) -> str:
    return " ".join(str(one) for one in value) or "none" if isinstance(value, tuple) else str(value)


def _here(one: Listed) -> str:
    if local_path(one.url) is not None:
        return "as that file"
    copy = kept_copy(one.entry.sha256)
    return f"not yet; `landslide-scale models fetch {one.entry.name}`" if copy is None else str(copy)
