"""What a device is called, for PyTorch and ONNX Runtime alike. Imports neither."""

from __future__ import annotations

from nst_core.base.errors import StyleError

DEVICES = ("auto", "cuda", "cpu")


def check_device(device: str) -> None:
    """Raise StyleError if there is no device of this name."""
    if device not in DEVICES:
        raise StyleError(f"There is no device {device!r}; choose from {', '.join(DEVICES)}.")
