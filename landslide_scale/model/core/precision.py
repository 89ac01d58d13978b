"""In which number format the network computes."""

from __future__ import annotations

import platform
from typing import Any

import torch

from landslide_scale.provenance import NumberFormat, Precision


def autocast(precision: Precision, device: str) -> torch.autocast:
    """A context for the forward pass: bf16 autocast, or none.

    Args:
        precision: ``auto`` is bf16 where the hardware computes it natively, else float32.
        device: As torch names it: "cpu", "cuda", "cuda:1".
    """
    enabled = format_on(precision, device) == "bf16"
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=enabled)


def format_on(precision: Precision, device: str) -> NumberFormat:
    """The format that the network computes in on a device."""
    if precision != "auto":
        return precision
    return "bf16" if native_bf16(device) else "float32"


def computing(precision: NumberFormat, device: str) -> dict[str, Any]:
    """What numbers of a network may depend on beside it and its input, as JSON: format, device, kernels, versions.

    Args:
        precision: In which it computes.
        device: As torch names it.
    """
    said: dict[str, Any] = {"precision": precision, "threads": torch.get_num_threads(), "torch": torch.__version__}
    if torch.device(device).type != "cuda":
        return said | {"device": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"}
    kernels = {
        "flash": torch.backends.cuda.flash_sdp_enabled(),  # type: ignore[no-untyped-call]
        "efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),  # type: ignore[no-untyped-call]
        "cudnn": torch.backends.cuda.cudnn_sdp_enabled(),  # type: ignore[no-untyped-call]
    }
    tf32 = {"matmul": torch.backends.cuda.matmul.allow_tf32, "convolution": torch.backends.cudnn.allow_tf32}
    return said | {
        "device": torch.cuda.get_device_name(device),
        "tf32": [name for name, used in tf32.items() if used],
        "attention": [name for name, may in kernels.items() if may],
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def native_bf16(device: str) -> bool:
    """Whether the device has instructions for bf16 matrix products, and so gains from them."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.device(device).type == "cpu":
        able = torch.cpu.get_capabilities()
        # What the processor has, and what oneDNN, which multiplies, may use of it (ONEDNN_MAX_CPU_ISA).
        has = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
        return has and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 as torch's own compiler asks
    return False
