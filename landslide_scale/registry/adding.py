"""Entries are added to the user's registry as text below what is there, so that comments and order stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from landslide_scale.errors import InvalidConfigError
from landslide_scale.redaction import redacted
from landslide_scale.registry.entries import VARIABLE, content_of, entries_of, user_registry
from landslide_scale.registry.packaged import PACKAGED
from landslide_scale.registry.settings import Entry, check_names
from landslide_scale.spec import ImageFacts, Radiometry
from landslide_scale.storage.files import local_path, write_whole
from landslide_scale.strictyaml import parse

_HEAD = "checkpoints:\n"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What no file says of itself.

    Attributes:
        name: By which it is to be known.
        data: What it learnt from, in words.
        licence: In words.
        held_out: F1 of the landslide class by region.
    """

    name: str
    data: str
    licence: str
    held_out: Mapping[str, float]


def scores_told(texts: Sequence[str]) -> Mapping[str, float]:
    """Scores by region, as they are typed: ``REGION=F1``.

    Raises:
        InvalidConfigError: One is none.
    """
    scores: dict[str, float] = {}
    for text in texts:
        region, _, score = text.rpartition("=")
        try:
            scores[region] = float(score)
        except ValueError:
            raise InvalidConfigError(text, expected="REGION=F1, as 'Noto 2024=0.41'", key="--held-out") from None
    return scores


def entry_of(
    told: Told,
    url: str,
    *,
    sha256: str,
    size: int,
    bands: tuple[str, ...],
    radiometry: Radiometry,
    trained_on: ImageFacts,
) -> Entry:
    """What is told of a checkpoint and what its file says.

    Raises:
        InvalidConfigError: Something does not do for an entry, or the address has keys, which a registry would tell.
    """
    if redacted(url) != url:
        raise InvalidConfigError("an address with a user, query or fragment", expected="one without, to be told")
    content = {
        "name": told.name,
        "url": url.replace("$", "$$"),
        "sha256": sha256,
        "bytes": size,
        "bands": bands,
        "radiometry": radiometry,
        "trained_on": asdict(trained_on),
        "data": told.data,
        "licence": told.licence,
        "held_out": [{"region": region, "f1": f1} for region, f1 in told.held_out.items()],
    }
    return parse(Entry, content, source="the entry")


def add(entry: Entry) -> str:
    """Write an entry into the user's registry, which is made where there is none.

    Returns:
        Path or URL of the registry.

    Raises:
        InvalidInputError: It cannot be written to, has the name already, or is written so that nothing can be added.
    """
    registry = user_registry()
    if registry.startswith(("http://", "https://")):
        raise InvalidConfigError(
            redacted(registry),
            expected="a registry that can be written to",
            cure=f"Set {VARIABLE} to a file, and publish that.",
        )
    path = local_path(registry)
    before = "" if path is not None and not path.exists() else content_of(registry)
    known = entries_of(before, registry)
    check_names([entry.name, *(one.name for one in PACKAGED), *(one.entry.name for one in known)])
    after = f"{before.rstrip()}\n{item(entry)}" if known else f"{before.rstrip()}\n{_HEAD}{item(entry)}".lstrip()
    _check(after, registry, [*(one.entry for one in known), entry])
    write_whole(registry, after.encode())
    return registry


def item(entry: Entry) -> str:
    """An entry as an item of a registry's list: YAML whose values are JSON, as YAML's are."""
    content = entry.model_dump(mode="json", exclude_defaults=True)
    if "trained_on" in content:
        content["trained_on"] = {key: value for key, value in content["trained_on"].items() if value is not None}
    lines = [f"{key}: {_yaml(value)}" for key, value in content.items()]
    return "".join(f"  {'-' if number == 0 else ' '} {line}\n" for number, line in enumerate(lines))


def _yaml(value: object) -> str:
    """A value on one line; characters that YAML takes for breaks, or not at all, by its escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)


def _check(text: str, registry: str, expected: list[Entry]) -> None:
    try:
        found = [one.entry for one in entries_of(text, registry)]
    except InvalidConfigError:
        found = []
    if found != expected:
        raise InvalidConfigError(
            "a list that is written otherwise",
            expected="`checkpoints:` last, with entries that begin with two spaces and a dash",
            file=redacted(registry),
        )
