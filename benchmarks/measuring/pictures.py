"""Read the pictures that the benchmarks paint."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nst_core.pictures.arrays import as_tensor
from plugin.cli.picture_files import read_picture
from plugin.engine.imaging.picture import network_input

COFFEE = Path(__file__).parents[2] / "plugin" / "samples" / "coffee.jpg"


def read_picture_tensor(path: Path, device: torch.device) -> Tensor:
    """Read a picture as a tensor [1, 3, H, W], float32 in 0..1. Raises StyleError if it cannot be read."""
    return as_tensor(network_input(read_picture(path).picture)).to(device)
