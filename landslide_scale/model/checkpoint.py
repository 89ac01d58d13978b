"""A trained network as one file: its trained tensors, and a card that says how to use them.

The file is safetensors (Hugging Face), which holds tensors and strings and can run nothing; its card is read by
`cards/file.py`. Frozen weights, where the network has any, stay where they came from and must match their SHA-256; a
network trained as a whole is in the file as a whole.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING

import safetensors.torch
from safetensors import SafetensorError

from landslide_scale.cards.card import RANDOM, BaseWeights, ModelCard, card_as_json
from landslide_scale.cards.file import KEY, broken, card_in, kept_base
from landslide_scale.errors import BrokenRunError, InvalidCheckpointError, InvalidConfigError
from landslide_scale.model import Network, build, family
from landslide_scale.model.core.tensors import state_sha256
from landslide_scale.redaction import redacted
from landslide_scale.storage.files import read_range, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from landslide_scale.spec import ModelSpec


_LONGEST_SEED = 18


def random_weights(model: ModelSpec, seed: int) -> BaseWeights:
    """What :func:`landslide_scale.model.build` draws for this model and seed, here and now."""
    return BaseWeights(source=f"{RANDOM}{seed}", sha256=_random_sha256(model, seed))


@lru_cache(maxsize=8)
def _random_sha256(model: ModelSpec, seed: int) -> str:
    """Kept, because a training asks for it at every epoch it saves."""
    return state_sha256(family(model).random_base(model, seed))


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
    data = safetensors.torch.save(tensors, metadata={KEY: text})
    write_whole(url, data)
    return hashlib.sha256(data).hexdigest()


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
    card = card_in(data, url)
    try:
        state = safetensors.torch.load(data)
    except SafetensorError as error:
        raise broken(f"damaged tensors ({error})", url) from error
    try:
        base = _base(card, base_url, cache) if card.model.stands_on_base else None
        net = build(card.model, card.inputs, base=base, checkpoint_gradients=checkpoint_gradients)
        net.load_trained_state(state)
    except (InvalidCheckpointError, InvalidConfigError) as error:
        raise InvalidCheckpointError(
            error.found, expected=error.expected, cure=error.cure, **({"file": redacted(url)} | error.where)
        ) from error
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise broken(f"a network that cannot be built ({type(error).__name__}: {error})", url) from error
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


def _base(card: ModelCard, base_url: str | None, cache: Path | None) -> Mapping[str, torch.Tensor]:
    source = base_url or card.base.source
    if not source.startswith(RANDOM):
        return family(card.model).load_base(base_url or kept_base(card, cache), card.base.sha256, cache)
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
