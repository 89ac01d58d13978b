"""The head of a checkpoint's file, and what it is called by; what its tensors are, `model/checkpoint.py` knows.

The file is safetensors (Hugging Face): the length of a header, the header as JSON, and tensors. The card is JSON in the
header's metadata.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landslide_scale.cards.card import RANDOM, ModelCard, card_from_json
from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError
from landslide_scale.redaction import redacted
from landslide_scale.storage.cache import kept_copy
from landslide_scale.storage.files import read_range

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = "landslide_scale"
"""Of the card, in the header's metadata."""

_LENGTH_BYTES = 8
_LONGEST_HEADER = 1 << 24
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_card(url: str) -> ModelCard:
    """Read the card alone: a few kilobytes from the head of the file.

    Raises:
        InvalidCheckpointError: Not a checkpoint of this package, or unreadable.
    """
    return _card(_read_header(url), url)


def check_base(card: ModelCard, base_url: str | None, cache: Path | None = None) -> None:
    """Make sure that the weights under a checkpoint are the user's to read, without reading them.

    Raises:
        InvalidCheckpointError: None are named, and the cache has no copy of theirs.
    """
    if base_url is None and card.model.stands_on_base and not card.base.source.startswith(RANDOM):
        kept_base(card, cache)


def kept_base(card: ModelCard, cache: Path | None) -> str:
    """Path of the copy of its base weights that the cache has.

    Raises:
        InvalidCheckpointError: It has none.
    """
    copy = kept_copy(card.base.sha256, cache) if _SHA256.fullmatch(card.base.sha256) else None
    if copy is None:
        raise InvalidCheckpointError(
            f"it stands on weights of SHA-256 {card.base.sha256[:64]}, and no copy of them is here",
            expected="their address as model.base_weights",
            cure=f"Its card says that they were at {card.base.source}: name that where you trust it.",
        )
    return str(copy)


@dataclass(frozen=True, kw_only=True)
class Identified:
    """A checkpoint file that was read whole.

    Attributes:
        card: Its card.
        sha256: Of the file, in hexadecimal.
        size: Of the file, in bytes.
    """

    card: ModelCard
    sha256: str
    size: int


def identified(url: str) -> Identified:
    """The card, and what the file that it is from is; what is no checkpoint may be large, and is not read whole.

    Raises:
        InvalidCheckpointError: As for :func:`read_card`, or the file was replaced meanwhile.
    """
    header = _read_header(url)
    card, data = _card(header, url), read_range(url, 0, None)
    if _header(data, url) != header:
        raise broken("another file than a moment ago", url)
    return Identified(card=card, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _read_header(url: str) -> bytes:
    """The safetensors header of a file, of which no more is read."""
    length = _header_length(read_range(url, 0, _LENGTH_BYTES), url)
    return read_range(url, _LENGTH_BYTES, _LENGTH_BYTES + length)


def _header(data: bytes, url: str) -> bytes:
    """The safetensors header of a whole file."""
    return data[_LENGTH_BYTES : _LENGTH_BYTES + _header_length(data[:_LENGTH_BYTES], url)]


def _header_length(head: bytes, url: str) -> int:
    """Length of the safetensors header in bytes: eight bytes, little end first."""
    length = int.from_bytes(head, "little")
    if len(head) < _LENGTH_BYTES or not 0 < length <= _LONGEST_HEADER:
        raise broken("no safetensors header", url)
    return length


def card_in(data: bytes, url: str) -> ModelCard:
    """The card of a file that was read whole.

    Raises:
        InvalidCheckpointError: As for :func:`read_card`.
    """
    return _card(_header(data, url), url)


def _card(header: bytes, url: str) -> ModelCard:
    try:
        metadata = json.loads(header).get("__metadata__") or {}
        stored = json.loads(metadata[KEY])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise broken(f"no model card in its header ({type(error).__name__})", url) from error
    try:
        return card_from_json(stored)
    except (InvalidCheckpointError, InvalidConfigError) as error:
        raise InvalidCheckpointError(
            f"the model card has {error.found}",
            expected=error.expected,
            cure=error.cure,
            file=redacted(url),
            **_by_card(error.where),
        ) from error


def _by_card(where: Mapping[str, str]) -> dict[str, str]:
    """Where an error is, its key as the card has it."""
    key = where.get("key", "card")
    return {**where, "key": key if key.startswith("card") else f"card.{key}"}


def broken(found: str, url: str) -> InvalidCheckpointError:
    """What is said of a file that is no whole checkpoint, for what was `found`."""
    return InvalidCheckpointError(
        found, expected="a whole checkpoint of landslide_scale (safetensors with a model card)", file=redacted(url)
    )
