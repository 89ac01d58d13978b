"""A network that is followed where it predicts; the other processes that it passes through begin without torch."""

from __future__ import annotations

from typing import Any

from helpers.doomed import Plan, followed


def load(url: str, *, plan: Plan, **named: object) -> tuple[Any, Any]:
    """A network of one band whose every pass is the beginning and the end of a predictor's work."""
    import torch  # noqa: PLC0415
    from helpers.borderland import one_band_model  # noqa: PLC0415

    net, card = one_band_model()(url, **named)

    class Followed(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with followed(plan, "worker").of("predictor"):
                return net(images)

    return Followed(), card
