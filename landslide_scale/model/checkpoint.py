"""A trained network as one file: its trained tensors, and a card that says how to use them.

The file is safetensors (Hugging Face), which holds tensors and strings and can run nothing; the card is JSON in its
metadata. Frozen weights, where the network has any, stay where they came from and must match their SHA-256; a network
trained as a whole is in the file as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError

from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError
from landslide_scale.metrics import AreaRatio, HeldOut
from landslide_scale.model import Network, build, family
from landslide_scale.model.core.tensors import state_sha256
from landslide_scale.model.designs import as_kept, with_design
from landslide_scale.model.values import value_from_json
from landslide_scale.redaction import redacted
from landslide_scale.spec import MOST_BANDS, ImageFacts, ImageParts, InputSpec, Judged, ModelSpec
from landslide_scale.storage.cache import kept_copy
from landslide_scale.storage.files import read_range, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


_KEY = "landslide_scale"
_VERSION = 1
_LENGTH_BYTES = 8
_LONGEST_HEADER = 1 << 24
_RANDOM = "random:"
_LONGEST_SEED = 18
_LARGEST = 1e9
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, kw_only=True)
class BaseWeights:
    """The weights that training began with: those a checkpoint stands on, or an encoder's start.

    Attributes:
        source: Path or URL, kept without user information and query, where credentials are; or ``random:SEED``.
        sha256: Of the file; of a random base, of its tensors, so that a rebuild that differs is refused.
    """

    source: str
    sha256: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", redacted(self.source))

    @classmethod
    def random(cls, model: ModelSpec, seed: int) -> BaseWeights:
        """What :func:`landslide_scale.model.build` draws for this model and seed, here and now."""
        return cls(source=f"{_RANDOM}{seed}", sha256=_random_sha256(model, seed))


@lru_cache(maxsize=8)
def _random_sha256(model: ModelSpec, seed: int) -> str:
    """Kept, because a training asks for it at every epoch it saves."""
    return state_sha256(family(model).random_base(model, seed))


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """How a checkpoint's tensors become landslide probabilities, and where they came from.

    Attributes:
        model: What the network is made of.
        inputs: How it scales pixel values.
        threshold: Probability from which a pixel counts as landslide, in (0, 1).
        temperature, bias: Probability is ``sigmoid((logit + bias) / temperature)``; temperature above 0.
        prevalence: Share of landslide, 0 to 1, among the validation pixels they were fitted to; None where not known.
        area: True over expected landslide area on the validation images; None where not known.
        trained_on: What the images were that it learnt from and was validated on.
        parts: Which images it learnt from, was chosen by, and was scored on; None where not known.
        held_out: How it did on the images that were kept from it; None where not known.
        judged: How the network passed over those that threshold, temperature and bias were fitted to.
        base: The weights under the trained tensors, or those they began as.
        provenance: Anything worth knowing of the training, as text by name.
    """

    model: ModelSpec
    inputs: InputSpec
    threshold: float = 0.5
    temperature: float = 1.0
    bias: float = 0.0
    prevalence: float | None = None
    area: AreaRatio | None = None
    trained_on: ImageFacts = field(default_factory=ImageFacts)
    parts: ImageParts | None = None
    held_out: HeldOut | None = None
    judged: Judged = field(default_factory=Judged)
    base: BaseWeights
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise _refused("threshold", self.threshold, "between 0 and 1")
        if not 0 < self.temperature < _LARGEST:
            raise _refused("temperature", self.temperature, f"above 0 and below {_LARGEST:g}")
        if not abs(self.bias) < _LARGEST:
            raise _refused("bias", self.bias, f"a number within {_LARGEST:g}")
        if self.prevalence is not None and not 0 <= self.prevalence <= 1:
            raise _refused("prevalence", self.prevalence, "0 to 1, or none")
        if self.area is not None and not self.area.possible:
            raise _refused("area", self.area, "ratios of 0 or more, ascending, and places")
        _check_inputs(self.inputs)


def _check_inputs(inputs: InputSpec) -> None:
    """Refuse numbers so large that no pixel can be scaled by them; how many there have to be, the network says.

    Raises:
        InvalidCheckpointError: One is too large, or there are more than any network takes.
    """
    numbers = (inputs.low, inputs.high, inputs.gain, *inputs.mean, *inputs.std)
    most = len(inputs.mean) > MOST_BANDS or len(inputs.std) > MOST_BANDS or len(inputs.terrain) > MOST_BANDS
    if most or not all(abs(number) < _LARGEST for number in numbers):
        raise _refused("inputs", str(numbers)[:200], f"numbers within {_LARGEST:g}, one per band")


def _refused(key: str, value: object, expected: str) -> InvalidCheckpointError:
    return InvalidCheckpointError(f"{key} {value}", expected=expected, key=f"card.{key}")


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
    text = json.dumps({"version": _VERSION, **_said(card)}, allow_nan=False)
    data = safetensors.torch.save(tensors, metadata={_KEY: text})
    write_whole(url, data)
    return hashlib.sha256(data).hexdigest()


def _said(card: ModelCard) -> dict[str, Any]:
    """The card as JSON; without what is not known of its images, as cards were before there was room for it."""
    unknown = {
        "area": card.area is None,
        "trained_on": card.trained_on == ImageFacts(),
        "parts": card.parts is None,
        "held_out": card.held_out is None,
        "judged": card.judged == Judged(),
    }
    said = asdict(card) | {"model": as_kept(card.model), "trained_on": card.trained_on.known}
    return {key: value for key, value in said.items() if not unknown.get(key, False)}


def read_card(url: str) -> ModelCard:
    """Read the card alone: a few kilobytes from the head of the file.

    Raises:
        InvalidCheckpointError: Not a checkpoint of this package, or unreadable.
    """
    return _card(_read_header(url), url)


def restore(
    url: str, *, base_url: str | None = None, cache: Path | None = None, checkpoint_gradients: bool = False
) -> tuple[Network, ModelCard]:
    """Rebuild a saved network, on its base weights where it has frozen ones.

    Args:
        url: What :func:`save` wrote.
        base_url: Where the base weights are; None where a copy of theirs is in the cache. Where the card says they
            were is not asked: a card is whoever's who made it. Not read for a network that stands on none.
        cache: Folder for copies of remote base weights; None for the user's cache.
        checkpoint_gradients: As in :func:`landslide_scale.model.build`.

    Returns:
        The network on the CPU, and the card.

    Raises:
        InvalidCheckpointError: The file or the base weights are not what they should be.
    """
    data = read_range(url, 0, None)
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


def check_base(card: ModelCard, base_url: str | None, cache: Path | None = None) -> None:
    """Make sure that the weights under a checkpoint are the user's to read, without reading them.

    Raises:
        InvalidCheckpointError: None are named, and the cache has no copy of theirs.
    """
    if base_url is None and family(card.model).stands_on_base and not card.base.source.startswith(_RANDOM):
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
    if not source.startswith(_RANDOM):
        return family(card.model).load_base(base_url or _kept_base(card, cache), card.base.sha256, cache)
    seed = source.removeprefix(_RANDOM)
    if not seed.isdecimal() or len(seed) > _LONGEST_SEED:
        raise InvalidCheckpointError(
            f"base weights {source[:100]}", expected=f"{_RANDOM} and a whole number of at most {_LONGEST_SEED} digits"
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
        return _card_from_json(stored)
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


def _card_from_json(stored: object) -> ModelCard:
    if not isinstance(stored, dict) or stored.get("version") != _VERSION:
        version = stored.get("version") if isinstance(stored, dict) else type(stored).__name__
        raise InvalidCheckpointError(
            f"version {version!r}", expected=f"version {_VERSION}", cure="Use the release that wrote it"
        )
    if "threshold" not in stored:  # every release wrote it, and what is landslide is not guessed
        raise InvalidCheckpointError("no threshold", expected="a probability between 0 and 1", key="card.threshold")
    said = {key: value for key, value in stored.items() if key != "version"}
    if isinstance(said.get("model"), dict):
        said["model"] = with_design(said["model"])
    return value_from_json(ModelCard, said, "card")


def _broken(found: str, url: str) -> InvalidCheckpointError:
    return InvalidCheckpointError(
        found, expected="a whole checkpoint of landslide_scale (safetensors with a model card)", file=redacted(url)
    )
