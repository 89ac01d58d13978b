"""Checkpoints that have names."""

from __future__ import annotations

from collections.abc import Sequence

from landslide_scale.cards.file import identified
from landslide_scale.commands.arguments import given
from landslide_scale.paths import for_workers, input_place
from landslide_scale.redaction import redacted
from landslide_scale.registry.adding import Told, add, entry_of, remove, scores_told
from landslide_scale.registry.entries import listed, named, user_registry
from landslide_scale.registry.located import Located
from landslide_scale.registry.report import list_lines, show_lines
from landslide_scale.runtime.console import say


def list_models() -> int:
    """Print the checkpoints that have names."""
    say("\n".join(list_lines(listed(), user_registry())))
    return 0


def show_model(name: str) -> int:
    """Print what is known of a checkpoint."""
    say("\n".join(show_lines(named(name))))
    return 0


def fetch_model(name: str) -> int:
    """Have a checkpoint's file on this machine, and print where."""
    say(Located.of(named(name)).here())
    return 0


def add_model(url: str, name: str, data: str, licence: str, held_out: Sequence[str]) -> int:
    """Give a checkpoint a name, by its card."""
    told = Told(name=name, data=data, licence=licence, held_out=scores_told(held_out))
    url = for_workers(given(url, input_place, "CHECKPOINT"))
    found = identified(url)
    entry = entry_of(
        told,
        url,
        sha256=found.sha256,
        size=found.size,
        bands=found.card.model.bands,
        radiometry=found.card.inputs.radiometry,
        trained_on=found.card.trained_on,
    )
    say(f"{entry.name} is listed in {redacted(add(entry))}")
    return 0


def remove_model(name: str) -> int:
    """Take a name out of the user's registry."""
    say(f"{name} is no more listed in {redacted(remove(name))}")
    return 0
