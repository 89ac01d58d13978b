"""Base weights, SAM's or an encoder's: fetched once, checked by SHA-256, loaded as tensors and nothing else."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from landslide_scale.errors import InvalidCheckpointError, StorageAwayError
from landslide_scale.redaction import redacted
from landslide_scale.storage.cache import local_copy, unchanged

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
        StorageAwayError: It cannot be fetched now.
    """
    return _load(url, sha256, cache, what="SAM", published="sam_vit_b_01ec64.pth", beginnings=_PARTS)


def load_classifier(url: str, sha256: str | None, cache: Path | None = None) -> Mapping[str, torch.Tensor]:
    """An ImageNet classifier's state dict, whose encoder a convolutional network can start from.

    Args:
        url: As in :func:`load_base`.
        sha256: As in :func:`load_base`.
        cache: As in :func:`load_base`.

    Returns:
        Tensors by name, as in torchvision's ``resnet50-0676ba61.pth``; of which encoder is not known yet.

    Raises:
        InvalidCheckpointError: Unreadable, another SHA-256, or no state dict.
        StorageAwayError: It cannot be fetched now.
    """
    return _load(url, sha256, cache, what="a classifier", published="resnet50-0676ba61.pth", beginnings=("",))


def _load(
    url: str, sha256: str | None, cache: Path | None, *, what: str, published: str, beginnings: tuple[str, ...]
) -> Mapping[str, torch.Tensor]:
    try:
        with unchanged(url):
            state = _unpickled(local_copy(url, sha256, cache), f"weights as published ({published})")
        return _state_dict(state, what, beginnings)
    except InvalidCheckpointError as error:
        raise error.at(file=redacted(url)) from error
    except StorageAwayError as error:
        cure = f"{error.cure} base_weights takes a path too."
        raise StorageAwayError(error.found, expected=error.expected, cure=cure, **error.where) from None


def _unpickled(path: Path, expected: str) -> Any:  # noqa: ANN401 it may hold anything
    """Unpickle tensors only: a pickle of anything else could run code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise InvalidCheckpointError(
            f"no PyTorch file of plain tensors ({type(error).__name__})", expected=expected
        ) from error


def _state_dict(state: object, what: str, beginnings: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
    if (
        isinstance(state, dict)
        and state
        and all(isinstance(name, str) and name.startswith(beginnings) for name in state)
        and all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    ):
        return state
    raise InvalidCheckpointError(
        f"{type(state).__name__} that is no state dict of {what}",
        expected="tensors by names" + (f" that begin with {', '.join(beginnings)}" if any(beginnings) else ""),
        cure="Where the weights are nested in a training checkpoint, save the state dict of the model alone",
    )
