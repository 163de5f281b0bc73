"""Choose the PyTorch device that computes."""

from __future__ import annotations

import torch

from nst_core.base.device_names import check_device
from nst_core.base.errors import StyleError


def choose_device(device: str) -> torch.device:
    """Return the device for ``auto`` (CUDA, else Apple's, else the CPU), ``cuda`` or ``cpu``.

    Raises StyleError if CUDA is requested and missing.
    """
    check_device(device)
    if device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if device == "cuda":
        raise StyleError("PyTorch finds no usable NVIDIA GPU; choose the device cpu.")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def computes_in_bfloat16(device: torch.device) -> bool:
    """Return whether ``device`` is a CPU with instructions for bfloat16 (AVX-512 BF16 or AMX)."""
    return device.type == "cpu" and any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
