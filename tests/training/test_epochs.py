from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from landslide_scale.datasets import Sample
from landslide_scale.errors import BrokenRunError, InvalidCheckpointError, InvalidDatasetError
from landslide_scale.metrics import LogitHistogram
from landslide_scale.training.batches import Workers, global_batches, shares, shuffled
from landslide_scale.training.epochs import learning_rate, optimizer_for, train_epoch
from landslide_scale.training.evaluating import Calibration, evaluate, histogram_of
from landslide_scale.training.fitting import Parts, TrainState, fit, score, trained_tensors
from landslide_scale.training.losses import segmentation_loss
from landslide_scale.training.spec import TrainSpec

SPEC = TrainSpec(epochs=4, batch=4, patch=16, precision="float32", learning_rate=1e-2)


class Blobs:
    """Patches in which a pixel is landslide where the first band is bright; the noise depends on the epoch."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def read(self, epoch: int, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, epoch, index))
        label = np.zeros((16, 16), np.uint8)
        y, x = rng.integers(0, 10, 2)
        label[y : y + 6, x : x + 6] = 1
        image = rng.normal(0, 0.3, (3, 16, 16)).astype(np.float32)
        image[0] += label
        label[:, -1] = 255
        return Sample(image=image, label=label)


def small_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 1, 3, padding=1))


def parts() -> Parts:
    return Parts(train=Blobs(10), validation=Blobs(5, seed=1), holdout=Blobs(7, seed=2))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(1, 2))
def test_shares_of_all_workers_are_the_global_batches(count: int, batch: int, size: int, least: int):
    order = shuffled(count, seed=0, epoch=0)
    assert sorted(order) == list(range(count))
    whole = global_batches(order, batch, least=least)
    everyone = [list(shares(order, batch, Workers(rank=rank, size=size), least=least)) for rank in range(size)]
    assert {len(mine) for mine in everyone} == {len(whole)}
    for batch_of_all, together in zip(whole, zip(*everyone, strict=True), strict=True):
        real = [index for share in together if share.weight for index in share.indices]
        assert sorted(real) == sorted(batch_of_all)
        assert all(share.indices and share.batch == len(real) for share in together)


@given(st.integers(1, 40), st.integers(2, 9))
def test_a_last_batch_of_one_joins_the_one_before_where_one_is_too_few(count: int, batch: int):
    plain, joined = (global_batches(range(count), batch, least=least) for least in (1, 2))
    assert [index for whole in joined for index in whole] == list(range(count))
    assert [len(whole) for whole in plain[:-1]] == [batch] * ((count - 1) // batch)
    if count % batch == 1 and count > 1:
        assert joined == [*plain[:-2], plain[-2] + plain[-1]]
    else:
        assert joined == plain


def test_order_changes_with_epoch_and_seed_only():
    assert shuffled(20, seed=1, epoch=2) == shuffled(20, seed=1, epoch=2)
    assert len({shuffled(20, seed=s, epoch=e) for s in (0, 1) for e in (0, 1)}) == 4


def test_it_learns():
    net = small_net()
    state = fit(net, parts(), SPEC)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4]
    assert state.epochs[-1].loss < 0.85 * state.epochs[0].loss
    assert state.best_epoch.validation_loss == min(epoch.validation_loss for epoch in state.epochs)
    assert state.best_epoch.validation_f1 > 0.8
    assert state.best_epoch.line.startswith(f"epoch {state.best}: loss ")
    judged = score(net, state, parts(), SPEC)
    assert judged.confusion.landslide.f1 > 0.8
    assert judged.confusion.tn + judged.confusion.tp + judged.confusion.fp + judged.confusion.fn == 7 * 16 * 15


@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize(("schedule", "average"), [("constant", 0.0), ("warmup_cosine", 0.0), ("constant", 0.8)])
def test_a_stopped_and_resumed_training_is_bit_equal(stop: int, schedule: str, average: float):
    spec = TrainSpec(**vars(SPEC) | {"schedule": schedule, "average": average})
    whole = fit(small_net(), parts(), spec)

    class StopError(Exception):
        pass

    kept = io.BytesIO()

    def keep(state: TrainState) -> None:
        if len(state.epochs) == stop:
            torch.save(state.to_plain(), kept)
            raise StopError

    with pytest.raises(StopError):
        fit(small_net(), parts(), spec, after_epoch=keep)
    kept.seek(0)
    state = TrainState.from_plain(torch.load(kept, weights_only=True))
    resumed = fit(small_net(seed=9), parts(), spec, state=state)
    for name, tensor in whole.trained.items():
        assert torch.equal(tensor, resumed.trained[name])
        assert torch.equal(whole.best_trained[name], resumed.best_trained[name])
    assert whole.best == resumed.best
    same = [[{**vars(epoch), "seconds": 0} for epoch in state.epochs] for state in (whole, resumed)]
    assert same[0] == same[1]


def test_averaged_weights_are_what_is_judged_and_kept_and_training_goes_on_from_its_own():
    shown: list[dict[str, torch.Tensor]] = []
    net = small_net()
    spec = TrainSpec(**vars(SPEC) | {"average": 0.8})
    averaged = fit(net, parts(), spec, after_epoch=lambda _: shown.append(trained_tensors(net)))
    plain = fit(small_net(), parts(), SPEC)
    assert all(torch.equal(tensor, averaged.trained[name]) for name, tensor in plain.trained.items())
    assert [epoch.loss for epoch in averaged.epochs] == [epoch.loss for epoch in plain.epochs]
    for name, tensor in averaged.best_trained.items():
        assert torch.equal(tensor, shown[averaged.best - 1][name])
        assert not torch.equal(tensor, averaged.trained[name])
    net.load_state_dict(shown[-1])
    judged = evaluate(net, parts().validation, batch=4, precision="float32")
    assert judged.loss == averaged.epochs[-1].validation_loss != plain.epochs[-1].validation_loss


def test_a_finished_training_resumes_to_itself():
    state = fit(small_net(), parts(), SPEC)
    assert fit(small_net(), parts(), SPEC, state=state) is state


def test_frozen_tensors_are_neither_kept_nor_moved():
    net = small_net()
    net[0].requires_grad_(requires_grad=False)
    before = net[0].weight.clone()
    state = fit(net, parts(), SPEC)
    assert torch.equal(net[0].weight, before)
    assert set(state.trained) == set(trained_tensors(net)) == {"2.weight", "2.bias"}


def test_the_last_uneven_batch_weighs_each_image_alike():
    """A step over 2 of 4 images divides by 2: the loss of an epoch is a mean over patches."""
    net, spec = small_net(), TrainSpec(**vars(SPEC) | {"learning_rate": 1e-30})
    losses = [
        train_epoch(net, optimizer_for(net, spec), Blobs(10), spec=TrainSpec(**vars(spec) | {"batch": b}), epoch=0)
        for b in (4, 1, 10)
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


def test_evaluation_does_not_depend_on_the_batch():
    net = small_net()
    first, second = (evaluate(net, Blobs(7), batch=b, precision="float32") for b in (2, 7))
    np.testing.assert_array_equal(first.histogram.counts, second.histogram.counts)
    assert first.confusion == second.confusion == first.histogram.confusion(0.0)
    assert first.loss == pytest.approx(second.loss)


class Corners(Blobs):
    """Of every second patch one row is counted, as of a window at the edge of an image; of some nothing at all."""

    def read(self, epoch: int, index: int) -> Sample:
        sample = super().read(epoch, index)
        if index % 2:
            sample.label[: 16 if index % 4 == 1 else 15] = 255
        return sample


def by_hand(net: nn.Module, patches: Blobs) -> tuple[float, float]:
    """Mean loss over counted pixels, and over patches."""
    samples = [patches.read(0, index) for index in range(len(patches))]
    images, labels = (torch.from_numpy(np.stack([getattr(s, key) for s in samples])) for key in ("image", "label"))
    with torch.inference_mode():
        each = segmentation_loss(net(images), labels).double()
    counted = (labels != 255).sum((1, 2))
    return float((each * counted).sum() / counted.sum()), float(each.mean())


def test_losses_are_means_over_counted_pixels_and_over_patches_for_runs_begun_so():
    net, spec = small_net(), TrainSpec(**vars(SPEC) | {"learning_rate": 1e-30})
    pixels, patches = by_hand(net, Corners(9))
    assert patches < 0.8 * pixels
    old = TrainSpec(**vars(spec) | {"loss_over": "patches"})
    judged = [evaluate(net, Corners(9), batch=4, precision="float32", loss_over=over) for over in ("pixels", "patches")]
    assert [one.loss for one in judged] == pytest.approx([pixels, patches], rel=1e-5)
    both = Parts(train=Corners(9), validation=Corners(9), holdout=Blobs(1))
    for asked, expected in ((spec, pixels), (old, patches)):
        (epoch,) = fit(small_net(), both, TrainSpec(**vars(asked) | {"epochs": 1})).epochs
        assert (epoch.loss, epoch.validation_loss) == pytest.approx((expected, expected), rel=1e-5)


def test_patches_of_which_nothing_is_counted_change_no_loss():
    class Padded(Blobs):
        def read(self, epoch: int, index: int) -> Sample:
            sample = super().read(epoch, index)
            if index >= 5:
                sample.label[:] = 255
            return sample

    net = small_net()
    alone, padded = (evaluate(net, each, batch=4, precision="float32").loss for each in (Blobs(5), Padded(12)))
    assert padded == pytest.approx(alone, rel=1e-6)


def test_a_loss_that_is_no_number_stops_the_run():
    net = small_net()
    with torch.no_grad():
        net[0].weight.fill_(math.nan)
    with pytest.raises(BrokenRunError, match=r"the loss of epoch 3 is nan. Try a lower train.learning_rate"):
        train_epoch(net, optimizer_for(net, SPEC), Blobs(4), spec=SPEC, epoch=2)


class Overflowing(nn.Module):
    """A network whose gradient is no number after so many steps, though its loss still is."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.net, self.left = small_net(), steps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(images)
        if self.training:
            self.left -= 1
        if self.training and not self.left:
            logits = logits + torch.sqrt(0 * logits.square().sum())  # 0, of a slope that is infinite
        return logits


def test_a_gradient_that_is_no_number_in_the_last_step_of_an_epoch_stops_the_run():
    """Ten patches in batches of four are three steps."""
    net = Overflowing(3)
    with pytest.raises(BrokenRunError, match=r"the gradient of epoch 1 is (nan|inf). Try a lower train.learning_rate"):
        fit(net, parts(), SPEC)
    assert BrokenRunError.exit_code == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_not_scored(value: float):
    net = small_net()
    with torch.no_grad():
        net[2].bias.fill_(value)
    with pytest.raises(BrokenRunError, match=r"the network's logits are no numbers .*train\.learning_rate"):
        evaluate(net, Blobs(2), batch=2, precision="float32")


@pytest.mark.parametrize(("part", "what"), [("trained", "trained tensors"), ("average", "averaged tensors")])
def test_a_state_of_other_names_is_refused(part: str, what: str):
    spec = TrainSpec(**vars(SPEC) | {"average": 0.8, "epochs": 1})
    plain = fit(small_net(), parts(), spec).to_plain()
    tensors = plain["average"]["mean"] if part == "average" else plain["trained"]
    tensors["renamed.weight"] = tensors.pop("2.weight")
    with pytest.raises(InvalidCheckpointError, match=rf"{what} of the training's state do not fit: missing: 2\.weight"):
        fit(small_net(), parts(), replace(spec, epochs=2), state=TrainState.from_plain(plain))
    assert InvalidCheckpointError.exit_code == 2


def test_a_state_whose_best_epoch_is_no_number_is_refused():
    state = fit(small_net(), parts(), replace(SPEC, epochs=1))
    broken = replace(state, epochs=(replace(state.epochs[0], validation_loss=math.nan),))
    with pytest.raises(InvalidCheckpointError, match="has a validation loss of nan; expected a number"):
        fit(small_net(), parts(), SPEC, state=broken)


def test_a_state_of_another_decay_is_refused():
    state = fit(small_net(), parts(), replace(SPEC, epochs=1, decay="all"))
    with pytest.raises(InvalidCheckpointError, match="the optimiser of the training's state does not fit"):
        fit(small_net(), parts(), SPEC, state=state)


class OfAllKinds(nn.Module):
    """A tensor of every kind that there is in the networks here."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.matrix, self.norm = nn.Conv2d(1, 2, 3), nn.Linear(2, 3), nn.BatchNorm2d(2)
        self.token, self.gamma = nn.Embedding(4, 2), nn.Parameter(torch.zeros(1))
        self.pos_embed, self.rel_pos_h = nn.Parameter(torch.zeros(1, 2, 2, 3)), nn.Parameter(torch.zeros(3, 2))
        self.frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)


def test_only_kernels_and_matrices_decay():
    net = OfAllKinds()
    spec = TrainSpec(weight_decay=0.1)
    decays = {
        tensor: group["weight_decay"] for group in optimizer_for(net, spec).param_groups for tensor in group["params"]
    }
    names = {name: decays[tensor] for name, tensor in net.named_parameters() if tensor.requires_grad}
    assert {name for name, decay in names.items() if decay} == {"kernel.weight", "matrix.weight"}
    assert set(names.values()) == {0, 0.1}
    assert len(names) == 10
    (group,) = optimizer_for(net, replace(spec, decay="all")).param_groups
    assert group["weight_decay"] == 0.1
    assert len(group["params"]) == 10


def test_a_read_error_comes_through():
    class Broken(Blobs):
        def read(self, epoch: int, index: int) -> Sample:
            if index == 3:
                raise InvalidDatasetError("gone", file="x.png")
            return super().read(epoch, index)

    with pytest.raises(InvalidDatasetError, match=r"x\.png: gone"):
        fit(small_net(), Parts(train=Broken(5), validation=Blobs(1), holdout=Blobs(1)), SPEC)


def test_schedules():
    constant, cosine = TrainSpec(), TrainSpec(schedule="warmup_cosine")
    assert {learning_rate(constant, step, 100) for step in range(100)} == {2e-4}
    rates = [learning_rate(cosine, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(4e-5)
    assert max(rates) == rates[4] == rates[5] == pytest.approx(2e-4)
    assert all(a >= b for a, b in pairwise(rates[5:]))
    assert 0 < rates[-1] < 1e-6
    assert learning_rate(cosine, 0, 1) == 2e-4


def test_calibration_agrees_with_the_histogram_it_was_fitted_to():
    torch.manual_seed(0)
    label = (torch.rand(5000) < 0.2).to(torch.uint8)
    logits = ((torch.randn(5000) + 3 * label - 1.5) * 2).bfloat16().float()
    histogram = histogram_of(logits, label)
    calibration = Calibration.fitted(histogram)
    found = histogram_of(torch.where(calibration.mask(logits), 1.0, -1.0), label).confusion(0)
    assert found.landslide.f1 == pytest.approx(histogram.confusion(calibration.edge).landslide.f1, abs=1e-3)
    edge = histogram.best_logit(calibration.temperature)
    assert calibration.edge == pytest.approx(edge, abs=2e-3 * calibration.temperature)
    assert 0 < calibration.threshold < 1
    assert Calibration.fitted(LogitHistogram.empty()) == Calibration()


def biased(seed: int = 0) -> LogitHistogram:
    """Logits that promise more landslide than there is, as a network says that learnt from squares over landslides."""
    generator = torch.Generator().manual_seed(seed)
    true_logit = torch.randn(100_000, generator=generator) * 2 - 4
    label = (torch.rand(100_000, generator=generator) < torch.sigmoid(true_logit)).to(torch.uint8)
    return histogram_of(true_logit * 1.5 + 3, label)


def test_a_bias_is_fitted_where_asked_for_and_the_prevalence_is_always_kept():
    histogram = biased()
    plain, platt = Calibration.fitted(histogram), Calibration.fitted(histogram, "platt")
    assert plain == Calibration.fitted(histogram, "temperature")
    assert plain.bias == 0
    assert (platt.temperature, platt.bias) == pytest.approx((1.5, -3), abs=0.1)
    assert plain.prevalence == platt.prevalence == histogram.prevalence
    costs = [histogram.negative_log_likelihood(found.temperature, found.bias) for found in (plain, platt)]
    assert costs[1] < costs[0]
    best = max(histogram.confusion(edge / 32).landslide.f1 for edge in range(-256, 256))
    assert histogram.confusion(platt.edge).landslide.f1 == pytest.approx(best, abs=0.005)


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_training_calibrates_as_it_is_told(method: str):
    spec = TrainSpec(**vars(SPEC) | {"calibration": method, "epochs": 6})
    state = fit(small_net(), parts(), spec)
    net = small_net()
    net.load_state_dict(state.best_trained, strict=False)
    histogram = evaluate(net, parts().validation, batch=4, precision="float32").histogram
    assert state.best_epoch.calibration == Calibration.fitted(histogram, method)  # type: ignore[arg-type]
    assert (state.best_epoch.calibration.bias != 0) == (method == "platt")


def test_a_state_from_before_prevalence_was_kept_resumes():
    state = fit(small_net(), parts(), TrainSpec(**vars(SPEC) | {"epochs": 1})).to_plain()
    for each in state["epochs"]:
        del each["calibration"]["prevalence"]
    assert TrainState.from_plain(state).best_epoch.calibration.prevalence is None


def test_each_patch_is_shown_once_with_its_logits():
    shown: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def seen(indices: Sequence[int], logits: torch.Tensor, labels: torch.Tensor) -> None:
        assert not shown.keys() & set(indices)
        shown.update(zip(indices, zip(logits, labels, strict=True), strict=True))

    judged = evaluate(small_net(), Blobs(7), batch=3, precision="float32", seen=seen)
    logits, labels = (torch.stack([shown[index][which] for index in range(7)]) for which in (0, 1))
    np.testing.assert_array_equal(labels.numpy(), np.stack([Blobs(7).read(0, index).label for index in range(7)]))
    np.testing.assert_array_equal(histogram_of(logits, labels).counts, judged.histogram.counts)
