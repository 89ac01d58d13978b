"""What writing attention out is worth while learning on a CPU, as ratios in one run.

One training step (forward, loss, backward, AdamW) of the same network on the same patches, once as it is and once
with every attention handed to ``scaled_dot_product_attention``. The two take turns; each ratio is the median over the
rounds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from typing import TYPE_CHECKING, get_args
from unittest import mock

import torch
import torch.nn.functional as F

from landslide_scale.model import autocast, build, random_base
from landslide_scale.model.core.precision import native_bf16
from landslide_scale.provenance import Precision
from landslide_scale.spec import InputSpec, LandslideNetSpec, SamSize
from landslide_scale.training.losses import segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULES = ("landslide_scale.model.landslidenet.attention", "landslide_scale.model.landslidenet.decoder")


def stepper(size: SamSize, patch: int, batch: int, precision: Precision) -> Callable[[], None]:
    """One training step of LandslideNet, encoder included, on `batch` patches of `patch` native pixels."""
    torch.manual_seed(0)
    model = LandslideNetSpec(sam=size, train_encoder=True)
    net = build(model, InputSpec.for_bands("boa", model.bands), base=random_base(size, 0)).train()
    optimizer = torch.optim.AdamW([tensor for tensor in net.parameters() if tensor.requires_grad], fused=True)
    images = torch.rand(batch, 3, patch, patch) * 0.3
    labels = (torch.rand(batch, patch, patch) < 0.1).to(torch.uint8)  # noqa: PLR2004 (a tenth is landslide)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, "cpu"):
            logits = net(images)
        segmentation_loss(logits, labels).mean().backward()
        optimizer.step()

    return step


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Attention by torch's own choice of kernel."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def seconds(step: Callable[[], None], rounds: int) -> dict[str, list[float]]:
    """Seconds of both ways in each round, after one that is not counted."""
    taken: dict[str, list[float]] = {"scaled_dot_product_attention": [], "written out": []}
    for number in range(rounds + 1):
        for name, own in taken.items():
            swapped = [mock.patch(f"{module}.attention_of", fused) for module in _MODULES if name != "written out"]
            for each in swapped:
                each.start()
            began = time.perf_counter()
            step()
            if number:
                own.append(time.perf_counter() - began)
            for each in swapped:
                each.stop()
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sam", choices=get_args(SamSize), default="vit_t")
    parser.add_argument("--patch", type=int, default=56, help="native pixels, enlarged four times")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    print(f"{asked.sam}, {asked.batch} patches of {asked.patch} px, random weights, torch {torch.__version__}, Python")
    print(
        f"{platform.python_version()}, CPU, {torch.get_num_threads()} threads, bf16 in hardware: {native_bf16('cpu')}\n"
    )
    print("| precision | attention | times as fast | ms per step |\n|---|---|---|---|")
    precisions: tuple[Precision, ...] = ("auto", "float32")
    for precision in precisions:
        taken = seconds(stepper(asked.sam, asked.patch, asked.batch, precision), asked.rounds)
        first = taken["scaled_dot_product_attention"]
        for name, own in taken.items():
            ratio = statistics.median(a / b for a, b in zip(first, own, strict=True))
            print(f"| {precision} | {name} | {ratio:.2f} | {1000 * statistics.median(own):.0f} |")


if __name__ == "__main__":
    main()
