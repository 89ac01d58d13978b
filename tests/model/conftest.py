from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from landslide_scale.model import LandslideNet, build, random_base
from landslide_scale.spec import InputSpec, LandslideNetSpec, TuningSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RGB = ("red", "green", "blue")


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks lose more to waiting for a second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_base() -> Mapping[str, torch.Tensor]:
    return random_base("vit_t", 3)


@pytest.fixture
def make_net(tiny_base: Mapping[str, torch.Tensor]) -> Callable[..., LandslideNet]:
    """A vit_t at native resolution; `tuned` gives W_up values, so that the tuning layers do something."""

    def make(
        *,
        bands: tuple[str, ...] = RGB,
        upsample: int = 1,
        sharing: str = "shared",
        train_encoder: bool = False,
        tuned: bool = False,
        recompute: bool = False,
    ):
        spec = LandslideNetSpec(
            sam="vit_t",
            tuning=TuningSpec(width=5, sharing=sharing),
            bands=bands,
            upsample=upsample,
            train_encoder=train_encoder,
        )
        net = build(spec, InputSpec.for_bands("boa", bands), base=tiny_base, seed=1, checkpoint_gradients=recompute)
        if tuned:
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(2)
                for tensor in net.tuning.up.parameters():
                    tensor.normal_(std=0.05)
        return net

    return make


@pytest.fixture
def images() -> Callable[..., torch.Tensor]:
    """Reflectance (B, C, H, W) between 0 and 0.5."""

    def make(*shape: int, seed: int = 0) -> torch.Tensor:
        return 0.5 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))

    return make
