"""Small assets and a tiny style for the benchmark of quality."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import replace

import numpy as np
import onnx
import pytest

from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.style_file import PREFIX, StyleCard

SETTINGS = TrainSettings(
    objective=ObjectiveSettings(content_layers=("relu3_1",), content_weight=0.5, tv_weight=7.0), style_size=80
)


@pytest.fixture(scope="session")
def training_settings() -> TrainSettings:
    """The settings that the style "small" says it was trained with."""
    return SETTINGS


@pytest.fixture(scope="session")
def write_style():
    """A function that writes a style file "Small" of a tiny network, with what it says of its training.

    ``settings`` is a text that replaces the training settings in the file.
    """
    torch = pytest.importorskip("torch")
    from export.to_onnx import export_styles
    from nst_core.fast.training_checkpoint import TrainingCheckpoint
    from nst_core.fast.transformer import TransformerNetwork

    def write(path, features, settings=None, seed=0):
        shape = TransformerSettings(width=4, residual_blocks=1)
        torch.manual_seed(seed)
        checkpoint = TrainingCheckpoint(
            replace(SETTINGS, network=shape), 7, TransformerNetwork(shape), {}, features, ("ab",), 12, 0
        )
        export_styles(checkpoint, [StyleCard("Small")], np.zeros((40, 50, 3), np.uint8), path)
        if settings is not None:
            model = onnx.load(path)
            entries = {entry.key: entry.value for entry in model.metadata_props}
            onnx.helper.set_model_props(model, entries | {f"{PREFIX}trained.settings": settings})
            onnx.save(model, path)

    return write


@pytest.fixture(scope="session")
def small_assets(slim_weights, photos_folder, samples, write_style, tmp_path_factory):
    """The folder that the benchmark reads, with small files, and in it the style file small.onnx."""
    folder = tmp_path_factory.mktemp("assets")
    for name in ("weights", "photos", "styles"):
        (folder / name).mkdir()
    shutil.copy(slim_weights, folder / "weights")
    shutil.copy(samples / "coffee.jpg", folder / "styles")
    with tarfile.open(folder / "photos" / "holdout.tar", "w") as tar:
        for path in sorted(photos_folder.iterdir())[:5]:
            tar.add(path, path.name)
    write_style(folder / "small.onnx", slim_weights.stem)
    return folder


@pytest.fixture
def arguments(small_assets, tmp_path):
    """A function that returns the command line for "small" with more options."""

    def join(*more, photos=1):
        given = [small_assets, tmp_path / "out", "--style", small_assets / "small.onnx", "--photos", photos]
        given += ["--painting", f"small={small_assets}/styles/coffee.jpg", "--size", 64, "--device", "cpu"]
        return [str(value) for value in (*given, "--iterations", "2,6", *more)]

    return join
