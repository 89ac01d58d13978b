"""Entries come into the user's registry, and out of it, as lines of text, so that comments and order stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from landslide_scale.errors import InvalidConfigError
from landslide_scale.provenance import ImageFacts
from landslide_scale.redaction import redacted
from landslide_scale.registry.entries import VARIABLE, content_of, entries_of, user_registry
from landslide_scale.registry.packaged import PACKAGED
from landslide_scale.registry.settings import Entry, check_names, is_name
from landslide_scale.spec import Radiometry
from landslide_scale.storage.files import local_path, write_whole
from landslide_scale.strictyaml import parse

_HEAD = "checkpoints:\n"
_ITEM = "  - "


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

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InvalidConfigError(self.name, expected="1 to 64 letters, digits, - and _", key="--name")
        for key in ("data", "licence"):
            if not getattr(self, key).strip():
                raise InvalidConfigError("nothing", expected="words", key=f"--{key}")
        for region, f1 in self.held_out.items():
            if not (region.strip() and 0 <= f1 <= 1):
                raise InvalidConfigError(
                    f"{region}={f1:g}", expected="the name of a region and an F1 of 0 to 1, as 'Noto 2024=0.41'",
                    key="--held-out",
                )  # fmt: skip


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
    registry = _writable_registry()
    before = _text_of(registry)
    known = entries_of(before, registry)
    if any(one.entry.name == entry.name for one in known):
        raise InvalidConfigError(
            f"the name {entry.name} is listed already in {redacted(registry)}",
            expected="another",
            cure=f"`landslide-scale models remove {entry.name}` takes that entry out.",
            key="--name",
        )
    check_names([entry.name, *(one.name for one in PACKAGED)])
    after = f"{before.rstrip()}\n{item(entry)}" if known else f"{before.rstrip()}\n{_HEAD}{item(entry)}".lstrip()
    _check(after, registry, [*(one.entry for one in known), entry])
    write_whole(registry, after.encode())
    return registry


def remove(name: str) -> str:
    """Take an entry out of the user's registry; the checkpoint's file stays.

    Returns:
        Path or URL of the registry.

    Raises:
        InvalidInputError: The registry does not list the name, cannot be written to, or is written otherwise than
            :func:`add` does.
    """
    registry = _writable_registry()
    before = _text_of(registry)
    known = [one.entry for one in entries_of(before, registry)]
    names = [entry.name for entry in known]
    if name not in names:
        raise InvalidConfigError(
            f"no entry {name}", expected=f"one of {', '.join(names)}" if names else "an entry", file=redacted(registry)
        )
    kept = [entry for entry in known if entry.name != name]
    after = _without(before, names.index(name)) if kept else before.partition(_HEAD)[0]
    _check(after, registry, kept)
    write_whole(registry, after.encode())
    return registry


def _without(text: str, number: int) -> str:
    """The text of a registry without one item; comments behind it are the next one's."""
    lines = text.splitlines(keepends=True)
    starts = [at for at, line in enumerate(lines) if line.startswith(_ITEM)]
    if number >= len(starts):
        return text  # written otherwise, which the caller finds
    stop = next((at for at in starts if at > starts[number]), len(lines))
    while not lines[stop - 1].strip() or lines[stop - 1].lstrip().startswith("#"):
        stop -= 1
    return "".join(lines[: starts[number]] + lines[stop:])


def _writable_registry() -> str:
    registry = user_registry()
    if registry.startswith(("http://", "https://")):
        raise InvalidConfigError(
            redacted(registry),
            expected="a registry that can be written to",
            cure=f"Set {VARIABLE} to a file, and publish that.",
        )
    return registry


def _text_of(registry: str) -> str:
    """What it holds; nothing where it is not there yet."""
    path = local_path(registry)
    return "" if path is not None and not path.exists() else content_of(registry)


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
