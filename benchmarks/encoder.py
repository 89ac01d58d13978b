"""How much faster than segment_anything's own encoder this package's is, as ratios in one run.

Four ways through the same random weights for the same patches: segment_anything's own forward pass in float32, this
package's in float32 (equal to 1e-5, tested), the same in bf16, and the whole LandslideNet in bf16. The ways take turns,
so that a machine that slows down slows all of them; each ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from typing import TYPE_CHECKING, get_args

import torch

from landslide_scale.model import autocast, build, random_base
from landslide_scale.model.core.precision import native_bf16
from landslide_scale.model.landslidenet.encoder import encode
from landslide_scale.model.landslidenet.sam import sam_parts
from landslide_scale.spec import InputSpec, LandslideNetSpec, SamSize

if TYPE_CHECKING:
    from collections.abc import Callable

Way = dict[str, "Callable[[], torch.Tensor]"]


def ways(size: SamSize, side: int, batch: int, device: str) -> Way:
    """The ways to be timed, by name; `side` in encoder pixels."""
    base = random_base(size, 0)
    model = LandslideNetSpec(sam=size, upsample=4)
    net = build(model, InputSpec.for_bands("boa", model.bands), base=base).to(device).eval()
    own = sam_parts(size)["image_encoder"].to(device).eval()
    own.load_state_dict({key.removeprefix("image_encoder."): base[key] for key in base if "image_encoder" in key})
    images = torch.rand(batch, 3, side, side, device=device)
    patches = torch.rand(batch, 3, side // 4, side // 4, device=device) * 0.3

    def theirs() -> torch.Tensor:
        return _without_position(own, images)

    def ours(precision: str) -> Callable[[], torch.Tensor]:
        def run() -> torch.Tensor:
            with autocast(precision, device):  # type: ignore[arg-type]
                return encode(net.image_encoder, net.tuning, images)

        return run

    def whole() -> torch.Tensor:
        with autocast("auto", device):
            return net(patches)

    return {
        "segment_anything encoder, float32": theirs,
        "this encoder, float32": ours("float32"),
        "this encoder, automatic precision": ours("auto"),
        "LandslideNet, automatic precision": whole,
    }


def _without_position(encoder: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """segment_anything's own forward pass but for the position embedding, whose size it cannot change."""
    x = encoder.patch_embed(images)
    for block in encoder.blocks:
        x = block(x)
    return encoder.neck(x.permute(0, 3, 1, 2))


@torch.inference_mode()
def seconds(chosen: Way, rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of each way in each round, after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in chosen}
    for number in range(rounds + 1):
        for name, run in chosen.items():
            began = time.perf_counter()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            if number:
                taken[name].append(time.perf_counter() - began)
    return taken


def table(taken: dict[str, list[float]], batch: int, native_side: int) -> str:
    """Ratios to the first way, as Markdown."""
    first = next(iter(taken.values()))
    lines = ["| way | times as fast | native Mpx/s |", "|---|---|---|"]
    for name, own in taken.items():
        ratio = statistics.median(a / b for a, b in zip(first, own, strict=True))
        speed = batch * native_side**2 / 1e6 / statistics.median(own)
        lines.append(f"| {name} | {ratio:.2f} | {speed:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sam", choices=get_args(SamSize), default="vit_t")
    parser.add_argument("--side", type=int, default=448, help="encoder pixels; four times the native patch")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    taken = seconds(ways(asked.sam, asked.side, asked.batch, asked.device), asked.rounds, asked.device)
    where = torch.cuda.get_device_name() if asked.device != "cpu" else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{asked.sam}, {asked.batch} patches of {asked.side} px (encoder), random weights, torch {torch.__version__}, "
    )
    print(f"Python {platform.python_version()}, {where}, bf16 in hardware: {native_bf16(asked.device)}\n")
    print(table(taken, asked.batch, asked.side // 4))


if __name__ == "__main__":
    main()
