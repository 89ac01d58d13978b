"""A trained network as one file: its trained tensors, and a card that says how to use them.

The file is safetensors (Hugging Face), which holds tensors and strings and can run nothing; the card is JSON in its
metadata. Frozen weights, where the network has any, stay where they came from and must match their SHA-256; a network
trained as a whole is in the file as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import safetensors.torch
from safetensors import SafetensorError

from landslide_scale.errors import BrokenRunError, InvalidCheckpointError, InvalidConfigError
from landslide_scale.model import Network, build, family
from landslide_scale.model.card import RANDOM, ModelCard, card_as_json, card_from_json
from landslide_scale.model.core.tensors import state_sha256
from landslide_scale.redaction import redacted
from landslide_scale.storage.cache import kept_copy
from landslide_scale.storage.files import read_range, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


_KEY = "landslide_scale"
_LENGTH_BYTES = 8
_LONGEST_HEADER = 1 << 24
_LONGEST_SEED = 18
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def save(url: str, net: Network, card: ModelCard) -> str:
    """Write the trained tensors of `net` and the card, whole or not at all.

    Args:
        url: Path or fsspec URL; an existing file is replaced.
        net: Only its trained tensors are kept, running statistics among them.
        card: Its `model` and `inputs` are those of `net`.

    Returns:
        SHA-256 of the file.

    Raises:
        InvalidCheckpointError: The card describes another network.
    """
    if (card.model, card.inputs) != (net.spec, net.inputs):
        raise InvalidCheckpointError("a card of another network", expected="the model and inputs of this one")
    tensors = {name: tensor.cpu().contiguous() for name, tensor in net.trained_state().items()}
    text = json.dumps(card_as_json(card), allow_nan=False)
    data = safetensors.torch.save(tensors, metadata={_KEY: text})
    write_whole(url, data)
    return hashlib.sha256(data).hexdigest()


def read_card(url: str) -> ModelCard:
    """Read the card alone: a few kilobytes from the head of the file.

    Raises:
        InvalidCheckpointError: Not a checkpoint of this package, or unreadable.
    """
    return _card(_read_header(url), url)


def restore(
    url: str,
    *,
    base_url: str | None = None,
    cache: Path | None = None,
    checkpoint_gradients: bool = False,
    sha256: str | None = None,
) -> tuple[Network, ModelCard]:
    """Rebuild a saved network, on its base weights where it has frozen ones.

    Args:
        url: What :func:`save` wrote.
        base_url: Where the base weights are; None where a copy of theirs is in the cache. Where the card says they
            were is not asked: a card is whoever's who made it. Not read for a network that stands on none.
        cache: Folder for copies of remote base weights; None for the user's cache.
        checkpoint_gradients: As in :func:`landslide_scale.model.build`.
        sha256: Of the file that a run was begun with, in hexadecimal; None to take what is there.

    Returns:
        The network on the CPU, and the card.

    Raises:
        InvalidCheckpointError: The file or the base weights are not what they should be.
        BrokenRunError: It is another file than that of the run.
    """
    data = read_range(url, 0, None)
    if sha256 is not None:
        _check_same(data, sha256, url)
    card = _card(_header(data, url), url)
    try:
        state = safetensors.torch.load(data)
    except SafetensorError as error:
        raise _broken(f"damaged tensors ({error})", url) from error
    try:
        base = _base(card, base_url, cache) if family(card.model).stands_on_base else None
        net = build(card.model, card.inputs, base=base, checkpoint_gradients=checkpoint_gradients)
        net.load_trained_state(state)
    except (InvalidCheckpointError, InvalidConfigError) as error:
        raise InvalidCheckpointError(
            error.found, expected=error.expected, cure=error.cure, **({"file": redacted(url)} | error.where)
        ) from error
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise _broken(f"a network that cannot be built ({type(error).__name__}: {error})", url) from error
    return net, card


def _check_same(data: bytes, sha256: str, url: str) -> None:
    """Make sure that what is loaded, these very bytes, is what the run was begun with."""
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise BrokenRunError(
            f"the checkpoint was replaced while the run goes on: SHA-256 {found}",
            expected=f"{sha256}, with which the run was begun",
            cure="Bring that file back and give --resume: what is done is kept. A training that goes on replaces its "
            "checkpoint; scan with a copy of it.",
            file=redacted(url),
        )


def check_base(card: ModelCard, base_url: str | None, cache: Path | None = None) -> None:
    """Make sure that the weights under a checkpoint are the user's to read, without reading them.

    Raises:
        InvalidCheckpointError: None are named, and the cache has no copy of theirs.
    """
    if base_url is None and family(card.model).stands_on_base and not card.base.source.startswith(RANDOM):
        _kept_base(card, cache)


def _kept_base(card: ModelCard, cache: Path | None) -> str:
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
        raise _broken("another file than a moment ago", url)
    return Identified(card=card, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _base(card: ModelCard, base_url: str | None, cache: Path | None) -> Mapping[str, torch.Tensor]:
    source = base_url or card.base.source
    if not source.startswith(RANDOM):
        return family(card.model).load_base(base_url or _kept_base(card, cache), card.base.sha256, cache)
    seed = source.removeprefix(RANDOM)
    if not seed.isdecimal() or len(seed) > _LONGEST_SEED:
        raise InvalidCheckpointError(
            f"base weights {source[:100]}", expected=f"{RANDOM} and a whole number of at most {_LONGEST_SEED} digits"
        )
    base = family(card.model).random_base(card.model, int(seed))
    if (found := state_sha256(base)) != card.base.sha256:
        raise InvalidCheckpointError(
            f"base weights {source} come out with SHA-256 {found}",
            expected=card.base.sha256,
            cure="Use the version of torch it was trained with, or train with published base weights",
        )
    return base


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
        raise _broken("no safetensors header", url)
    return length


def _card(header: bytes, url: str) -> ModelCard:
    try:
        metadata = json.loads(header).get("__metadata__") or {}
        stored = json.loads(metadata[_KEY])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(f"no model card in its header ({type(error).__name__})", url) from error
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


def _broken(found: str, url: str) -> InvalidCheckpointError:
    return InvalidCheckpointError(
        found, expected="a whole checkpoint of landslide_scale (safetensors with a model card)", file=redacted(url)
    )
