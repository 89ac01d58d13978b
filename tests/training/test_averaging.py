from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from landslide_scale.training.averaging import WeightAverage, averaging, changing

if TYPE_CHECKING:
    from collections.abc import Iterator


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def steps(trained: nn.Module, count: int) -> Iterator[dict[str, torch.Tensor]]:
    """Everything moved at random, batch statistics by seeing images; copies after each step."""
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for tensor in trained.parameters():
                tensor.add_(torch.rand(tensor.shape, generator=generator))
        trained(torch.rand(4, 2, 3, 3, generator=generator))
        yield _copies(trained)


def _copies(of: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in of.state_dict().items()}


def test_the_mean_is_exponential_and_forgets_where_it_began():
    own, keep = net(), 0.5
    average, expected = WeightAverage(own, keep), {name: tensor.double() for name, tensor in own.state_dict().items()}
    for number, seen in enumerate(steps(own, 12), 1):
        average.take()
        share = min(keep, (1 + number) / (10 + number))
        expected = {name: share * old + (1 - share) * seen[name] for name, old in expected.items()}
    assert min(keep, 13 / 22) == keep  # by then the ramp is over
    mean = average.state["mean"]
    for name, tensor in expected.items():
        if name == "1.num_batches_tracked":
            assert mean[name] == 12
        else:
            torch.testing.assert_close(mean[name], tensor.float())
            assert not torch.equal(mean[name], own.state_dict()[name])


def test_the_mean_is_in_the_network_for_a_while_and_then_its_own_tensors_are_again():
    own = net()
    average = WeightAverage(own, 0.9)
    *_, last = steps(own, 3)
    average.take()
    shown = {}

    def look() -> None:
        with average.shown():
            shown.update(_copies(own))
            raise KeyError

    with pytest.raises(KeyError):
        look()
    assert all(torch.equal(shown[name], tensor) for name, tensor in average.state["mean"].items())
    assert not torch.equal(shown["0.weight"], last["0.weight"])
    assert all(torch.equal(tensor, last[name]) for name, tensor in own.state_dict().items())


def test_frozen_tensors_have_no_mean():
    own = net()
    own[0].requires_grad_(requires_grad=False)
    assert WeightAverage(own, 0.9).state["mean"].keys() == changing(own).keys() == {
        f"1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }  # fmt: skip


def test_without_a_share_to_keep_it_is_the_network_itself():
    own = net()
    average = averaging(own, 0.0, None)
    *_, last = steps(own, 2)
    average.take()
    with average.shown():
        assert all(torch.equal(tensor, last[name]) for name, tensor in own.state_dict().items())
    assert average.state is None
