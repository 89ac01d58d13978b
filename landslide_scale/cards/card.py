"""What a checkpoint says of itself: how its tensors become landslide probabilities, and where they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from landslide_scale.cards.designs import as_kept, with_design
from landslide_scale.cards.values import value_from_json
from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.metrics import AreaRatio, HeldOut
from landslide_scale.provenance import ImageFacts, ImageParts, Judged
from landslide_scale.redaction import redacted
from landslide_scale.spec import MOST_BANDS, InputSpec, ModelSpec

_VERSION = 1

RANDOM = "random:"
"""What stands before a seed in place of the address of base weights."""

_LARGEST = 1e9


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


def card_as_json(card: ModelCard) -> dict[str, Any]:
    """The card as JSON; without what is not known of its images, as cards were before there was room for it."""
    unknown = {
        "area": card.area is None,
        "trained_on": card.trained_on == ImageFacts(),
        "parts": card.parts is None,
        "held_out": card.held_out is None,
        "judged": card.judged == Judged(),
    }
    said = asdict(card) | {"model": as_kept(card.model), "trained_on": card.trained_on.known}
    return {"version": _VERSION} | {key: value for key, value in said.items() if not unknown.get(key, False)}


def card_from_json(stored: object) -> ModelCard:
    """The card that :func:`card_as_json` made this of.

    Raises:
        InvalidCheckpointError, InvalidConfigError: It is of another version, or lacks or holds what no card does.
    """
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
