"""State dicts: loaded exactly or refused, and hashed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from landslide_scale.errors import InvalidCheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMED = 3


def load_exactly(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Copy every tensor of `given` into the one of the same name in `own`, or change nothing and refuse.

    Raises:
        InvalidCheckpointError: The names or shapes are not the same on both sides; says which.
    """
    shared = own.keys() & given.keys()
    complaints = [
        _listed("missing", own.keys() - shared),
        _listed("unexpected", given.keys() - shared),
        _listed("of another shape", _misshaped(own, given, shared)),
    ]
    found = "; ".join(filter(None, complaints))
    if found:
        raise InvalidCheckpointError(
            f"{what} do not fit: {found}",
            expected=f"exactly the {len(own)} tensors of this model",
            cure="Check the size of SAM and the other model settings against the file",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])


def _misshaped(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], names: Iterable[str]) -> list[str]:
    return [
        f"{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in names
        if given[name].shape != own[name].shape
    ]


def _listed(kind: str, names: Iterable[str]) -> str:
    """The first few names and how many there are, or nothing."""
    ordered = sorted(names)
    if not ordered:
        return ""
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return f"{kind}: {', '.join(ordered[:_NAMED])}{more}"


def state_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over the names, types, shapes and values of all tensors, whatever their order and file format."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
