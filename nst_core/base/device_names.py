"""The names of devices, which PyTorch and ONNX Runtime share. Imports neither."""

from __future__ import annotations

from nst_core.base.errors import check_choice

DEVICES = ("auto", "cuda", "cpu")


def check_device(device: str) -> None:
    """Raise StyleError if there is no device of this name."""
    check_choice("device", device, DEVICES)
