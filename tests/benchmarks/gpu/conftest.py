"""Small assets, two tiny bundled styles, and the GPU benchmark on a CPU with tiny budgets."""

from __future__ import annotations

import json
import shutil
import tarfile

import numpy as np
import onnx
import pytest

from nst_core.style_file import PREFIX, StyleCard


@pytest.fixture(scope="session")
def gpu_assets(slim_weights, photos_folder, samples, tmp_path_factory):
    """The folder that the benchmark reads, with small files."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("assets")
    for name in ("weights", "photos/train", "photos/eval", "styles"):
        (folder / name).mkdir(parents=True)
    shutil.copy(slim_weights, folder / "weights")
    for name in ("photos/train/train.tar", "photos/holdout.tar"):
        with tarfile.open(folder / name, "w") as tar:
            for path in sorted(photos_folder.iterdir())[:6]:
                tar.add(path, path.name)
    for name in ("styles/starry_night", "styles/wave", "photos/eval/tubingen", "photos/eval/amber"):
        Image.open(samples / "coffee.jpg").resize((150, 120)).save(folder / f"{name}.jpg")
    return folder


@pytest.fixture(scope="session")
def two_styles(slim_weights, tmp_path_factory):
    """A folder with the styles "One" and "Two", of one tiny network, trained with the slim features."""
    torch = pytest.importorskip("torch")
    from export.to_onnx import export_styles
    from nst_core.base.training_settings import TrainSettings, TransformerSettings
    from nst_core.fast.training_checkpoint import TrainingCheckpoint
    from nst_core.fast.transformer import TransformerNetwork

    folder = tmp_path_factory.mktemp("bundled")
    shape = TransformerSettings(width=4, residual_blocks=1)
    settings = TrainSettings(network=shape, style_size=64, batch=1)
    torch.manual_seed(0)
    checkpoint = TrainingCheckpoint(settings, 7, TransformerNetwork(shape), {}, slim_weights.stem, ("ab",), 12, 0)
    export_styles(checkpoint, [StyleCard("One")], np.zeros((40, 50, 3), np.uint8), folder / "one.onnx")
    model = onnx.load(folder / "one.onnx")
    entries = {entry.key: entry.value for entry in model.metadata_props}
    (card,) = json.loads(entries[f"{PREFIX}styles"])
    entries[f"{PREFIX}styles"] = json.dumps([card | {"name": "two", "title": "Two"}])
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, folder / "two.onnx")
    return folder


@pytest.fixture
def out(tmp_path):
    """The folder that the benchmark writes."""
    return tmp_path / "out"


@pytest.fixture
def run(gpu_assets, two_styles, slim_weights, samples, out, monkeypatch):
    """A function that runs parts of the command for some of the two styles; returns the report and gpu.json."""
    from benchmarks.gpu import gpu_command
    from plugin.engine.machine import paths

    monkeypatch.setattr(paths, "bundled_styles_folder", lambda: two_styles)

    def run_parts(parts, styles=("one", "two")):
        given = [out, gpu_assets, "--parts", parts, "--device", "cpu", "--features", slim_weights]
        for name in styles:
            given += ["--style", two_styles / f"{name}.onnx"]
        for name in ("one", "two"):
            given += ["--painting", f"{name}={samples / 'chelsea.jpg'}"]
        given += ["--batch", 2, "--crop", 64, "--steps", 6, "--pace-batches", "1,2", "--pace-steps", 2]
        given += ["--new-style", two_styles / "two.onnx", "--new-style-minutes", 0.02, "--judged-every", 5]
        given += ["--photos", 2, "--sizes", "64", "--iterations", 8, "--turns", 2, "--matrix", 64]
        gpu_command.main([str(value) for value in given])
        return (out / "gpu.md").read_text(), json.loads((out / "gpu.json").read_text())

    return run_parts
