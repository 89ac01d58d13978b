"""SAM's base weights: fetched once, checked against their SHA-256, loaded as tensors and nothing else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from landslide_scale.errors import InvalidCheckpointError
from landslide_scale.storage import local_copy, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")


def load_base(url: str, sha256: str | None, cache: Path | None = None) -> Mapping[str, torch.Tensor]:
    """A SAM state dict in the official format.

    Args:
        url: A path or an fsspec URL. What is not local is copied to `cache` once.
        sha256: Of the file, in hexadecimal; None to take what is there.
        cache: Folder for copies; None for ``landslide_scale`` in the user's cache.

    Returns:
        Tensors by name, as in ``sam_vit_b_01ec64.pth``.

    Raises:
        InvalidCheckpointError: Unreadable, another SHA-256, or not such a state dict.
    """
    try:
        return _load(local_copy(url, sha256, cache or _user_cache()))
    except InvalidCheckpointError as error:
        raise error.at(file=redacted(url)) from error


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landslide_scale"


def _load(path: Path) -> Mapping[str, torch.Tensor]:
    """Unpickle tensors only: a pickle of anything else could run code."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise InvalidCheckpointError(
            f"no PyTorch file of plain tensors ({type(error).__name__})",
            expected="SAM's weights as published (sam_vit_b_01ec64.pth and the like)",
        ) from error
    if not _is_sam(state):
        raise InvalidCheckpointError(
            f"{type(state).__name__} that is no state dict of SAM",
            expected=f"tensors by names that begin with {', '.join(_PARTS)}",
            cure="Where the weights are nested in a training checkpoint, save the state dict of the model alone",
        )
    checked: dict[str, torch.Tensor] = state
    return checked


def _is_sam(state: object) -> bool:
    return (
        isinstance(state, dict)
        and bool(state)
        and all(isinstance(name, str) and name.startswith(_PARTS) for name in state)
        and all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    )
