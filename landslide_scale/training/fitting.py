"""A whole training: epochs until the last, the best one kept, and a state from which to go on."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.model.core.tensors import load_exactly
from landslide_scale.training.averaging import averaging, changing
from landslide_scale.training.epochs import distributed, optimizer_for, train_epoch
from landslide_scale.training.evaluating import Calibration, Evaluation, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from torch import Tensor, nn

    from landslide_scale.datasets import Patches
    from landslide_scale.training.spec import CalibrationMethod, TrainSpec


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: From 1.
        loss: Mean over the training part while it was learnt from, as `TrainSpec.loss_over` says.
        validation_loss: The same of the validation part after it.
        validation_f1: Landslide F1 of the validation pixels at the calibration's threshold; nan where undefined.
        calibration: Fitted to the validation pixels.
        seconds: It took.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_f1: float
    calibration: Calibration
    seconds: float

    @property
    def line(self) -> str:
        """One line for a reader."""
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}, validation loss {self.validation_loss:.4f}, "
            f"validation F1 {self.validation_f1:.3f}, {self.seconds:.1f} s"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainState:
    """All that a training needs to go on after an epoch.

    Attributes:
        epochs: So far.
        trained: Tensors that training changes, by name, after the last of them.
        optimizer: Its state dict.
        best: The number of the epoch of lowest validation loss, the first among equals. Not of the highest F1, which
            takes each epoch at a threshold of its own: cubes hold probabilities, and F1 moves by chance where few
            landslides are validated on.
        best_trained: The tensors after that one; where weights are averaged, their mean.
        average: State of that mean after the last epoch; None where weights are not averaged.
    """

    epochs: tuple[Epoch, ...]
    trained: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    best: int
    best_trained: Mapping[str, Tensor]
    average: Mapping[str, Any] | None = None

    @property
    def best_epoch(self) -> Epoch:
        """The epoch of lowest validation loss."""
        return self.epochs[self.best - 1]

    @property
    def improved(self) -> bool:
        """Whether the last epoch is the best."""
        return self.best == len(self.epochs)

    def to_plain(self) -> dict[str, Any]:
        """Tensors, numbers, strings, lists and dicts only, as ``torch.load(weights_only=True)`` reads back."""
        plain = {name: getattr(self, name) for name in ("trained", "optimizer", "best", "best_trained", "average")}
        return plain | {"epochs": [asdict(epoch) for epoch in self.epochs]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TrainState:
        """The inverse of `to_plain`."""
        epochs = (Epoch(**epoch | {"calibration": Calibration(**epoch["calibration"])}) for epoch in plain["epochs"])
        return cls(**dict(plain) | {"epochs": tuple(epochs)})


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Patches by what they are for."""

    train: Patches
    validation: Patches
    holdout: Patches


def trained_tensors(net: nn.Module) -> dict[str, Tensor]:
    """Copies on the CPU of what training may change: trainable parameters, and buffers such as running means."""
    return {name: tensor.detach().cpu().clone() for name, tensor in changing(net).items()}


def fit(
    net: nn.Module,
    parts: Parts,
    spec: TrainSpec,
    *,
    state: TrainState | None = None,
    after_epoch: Callable[[TrainState], None] | None = None,
    threads: int = 2,
) -> TrainState:
    """Train to the last epoch.

    Under ``torch.distributed`` every process calls it with the same arguments and returns the same state.

    Args:
        net: On its device, as built; left at the last epoch.
        parts: To learn from and to choose by.
        spec: How.
        state: Where to go on; None to begin.
        after_epoch: Called after each epoch, in every process, with the network at that epoch; where weights are
            averaged, with their mean in it.
        threads: That read patches.

    Raises:
        BrokenRunError: The loss, a gradient or a logit is no longer a number.
        InvalidCheckpointError: The state is of another network, or of one that broke.
    """
    optimizer = optimizer_for(net, spec)
    if state is not None:
        _go_on(net, optimizer, state)
    average = averaging(net, spec.average, state.average if state else None)
    wrapped = distributed(net)
    for epoch in range(len(state.epochs) if state else 0, spec.epochs):
        began = time.monotonic()
        loss = train_epoch(
            wrapped, optimizer, parts.train, spec=spec, epoch=epoch, threads=threads, after_step=average.take
        )
        trained = trained_tensors(net)
        with average.shown():
            judged = evaluate(
                net,
                parts.validation,
                batch=spec.batch,
                precision=spec.precision,
                threads=threads,
                loss_over=spec.loss_over or "pixels",
            )
            done = _epoch(epoch + 1, loss, judged, spec.calibration, time.monotonic() - began)
            state = replace(
                _after(state, done, net), trained=trained, optimizer=optimizer.state_dict(), average=average.state
            )
            if after_epoch is not None:
                after_epoch(state)
    assert state is not None  # noqa: S101 (a TrainSpec has at least one epoch)
    return state


def _go_on(net: nn.Module, optimizer: torch.optim.Optimizer, state: TrainState) -> None:
    """Network and optimiser as they were after the last epoch of a state."""
    if not math.isfinite(state.best_epoch.validation_loss):
        raise InvalidCheckpointError(
            f"the best epoch of the training's state has a validation loss of {state.best_epoch.validation_loss}",
            expected="a number",
            cure="Begin anew with a lower train.learning_rate and another output.run.",
        )
    load_exactly(changing(net), state.trained, what="the trained tensors of the training's state")
    try:
        optimizer.load_state_dict(dict(state.optimizer))
    except (ValueError, KeyError) as error:
        raise InvalidCheckpointError(
            f"the optimiser of the training's state does not fit ({error})",
            expected="that of this network",
            cure="Begin anew with another output.run.",
        ) from error


def _epoch(number: int, loss: float, judged: Evaluation, method: CalibrationMethod | None, seconds: float) -> Epoch:
    calibration = Calibration.fitted(judged.histogram, method)
    return Epoch(
        epoch=number,
        loss=loss,
        validation_loss=judged.loss,
        validation_f1=judged.histogram.confusion(calibration.edge).landslide.f1,
        calibration=calibration,
        seconds=seconds,
    )


def _after(state: TrainState | None, done: Epoch, net: nn.Module) -> TrainState:
    """The state with one more epoch, and with the network that was judged after it where that is the best so far."""
    if state is None:
        return TrainState(epochs=(done,), trained={}, optimizer={}, best=1, best_trained=trained_tensors(net))
    longer = replace(state, epochs=(*state.epochs, done))
    if done.validation_loss < state.best_epoch.validation_loss:
        return replace(longer, best=done.epoch, best_trained=trained_tensors(net))
    return longer


def score(
    net: nn.Module,
    state: TrainState,
    parts: Parts,
    spec: TrainSpec,
    *,
    threads: int = 2,
    seen: Callable[[Sequence[int], Tensor, Tensor], None] | None = None,
) -> Evaluation:
    """Score the holdout with the best epoch and its calibration; the network is left at that epoch.

    Raises:
        InvalidCheckpointError: The state is of another network.
    """
    load_exactly(changing(net), state.best_trained, what="the tensors of the best epoch")
    calibration = state.best_epoch.calibration
    return evaluate(
        net,
        parts.holdout,
        batch=spec.batch,
        precision=spec.precision,
        calibration=calibration,
        threads=threads,
        seen=seen,
    )
