"""In which number format a network computes where nothing else is said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from landslide_scale.model.core.precision import autocast, native_bf16


@pytest.mark.parametrize("able", ["amx_bf16", "avx512_bf16"])
def test_bf16_is_native_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, able: str):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {able: True})
    assert native_bf16("cpu")
    with autocast("auto", "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert not native_bf16("cpu")


@pytest.mark.slow
def test_a_library_that_is_held_to_older_instructions_computes_in_float32():
    done = subprocess.run(
        [sys.executable, "-c", "from landslide_scale.model.core.precision import *; print(native_bf16('cpu'))"],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
