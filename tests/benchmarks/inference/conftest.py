"""A tiny style file for the benchmark of inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiny_style(tmp_path_factory) -> Path:
    """A style file of a tiny network with random weights."""
    torch = pytest.importorskip("torch")
    from export.to_onnx import export_styles
    from nst_core.base.training_settings import TrainSettings, TransformerSettings
    from nst_core.fast.training_checkpoint import TrainingCheckpoint
    from nst_core.fast.transformer import TransformerNetwork
    from nst_core.style_file import StyleCard

    path = tmp_path_factory.mktemp("styles") / "tiny.onnx"
    torch.manual_seed(0)
    settings = TrainSettings(network=TransformerSettings(width=4, residual_blocks=1))
    checkpoint = TrainingCheckpoint(settings, 0, TransformerNetwork(settings.network), {}, "none", ("",), 0, 0)
    export_styles(checkpoint, [StyleCard("Tiny")], np.zeros((64, 64, 3), np.uint8), path)
    return path
