"""The command that shows all on a GPU, on a CPU with tiny budgets."""

import json
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
from PIL import Image

from benchmarks import collection, compact, gpu, inference, iterative
from benchmarks.yardstick import Deadline
from export.from_onnx import read_starting_network
from export.to_onnx import export_styles
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.recipes import Recipe
from nst_core.base.training_settings import DistillSettings, TrainSettings, TransformerSettings
from nst_core.distill.student import CONV_LAYERS, new_student, save_compact
from nst_core.fast.training_checkpoint import TrainingCheckpoint, load_training
from nst_core.fast.transformer import TransformerNetwork
from nst_core.features import catalogue as weights
from nst_core.style_file import PREFIX, StyleCard
from plugin.engine.machine import paths

STAGE = DistillSettings(channels=(4, 4, 6, 6, 8), steps=3, batch=4, crop=64, rendered=0)


@pytest.fixture(scope="module")
def assets_folder(slim_weights, photos_folder, samples, tmp_path_factory):
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


@pytest.fixture(scope="module")
def bundled(slim_weights, tmp_path_factory):
    """The styles "One" and "Two", of one tiny network, trained by the slim features."""
    folder = tmp_path_factory.mktemp("bundled")
    shape = TransformerSettings(width=4, residual_blocks=1)
    settings = TrainSettings(network=shape, style_size=64, batch=1)
    torch.manual_seed(0)
    done = TrainingCheckpoint(settings, 7, TransformerNetwork(shape), {}, slim_weights.stem, ("ab",), 12, 0)
    export_styles(done, [StyleCard("One")], np.zeros((40, 50, 3), np.uint8), folder / "one.onnx")
    model = onnx.load(folder / "one.onnx")
    entries = {entry.key: entry.value for entry in model.metadata_props}
    (card,) = json.loads(entries[f"{PREFIX}styles"])
    entries[f"{PREFIX}styles"] = json.dumps([card | {"name": "two", "title": "Two"}])
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, folder / "two.onnx")
    return folder


@pytest.fixture
def run(assets_folder, bundled, slim_weights, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "bundled_styles_folder", lambda: bundled)
    monkeypatch.setattr(gpu, "STAGES", (STAGE, replace(STAGE, first_layer="relu4_1", rendered=1, steps=2)))
    monkeypatch.setattr(compact, "TIMED_SIZE", 64)
    monkeypatch.setattr(compact, "TIMED_ITERATIONS", 1)

    def go(parts, styles=("one", "two")):
        given = [tmp_path / "out", assets_folder, "--parts", parts, "--device", "cpu", "--features", slim_weights]
        for name in styles:
            given += ["--style", bundled / f"{name}.onnx"]
        for name in ("one", "two"):
            given += ["--painting", f"{name}={samples / 'chelsea.jpg'}"]
        given += ["--batch", 2, "--crop", 64, "--steps", 6, "--pace-batches", "1,2", "--pace-steps", 2]
        given += ["--new-style", bundled / "two.onnx", "--new-style-minutes", 0.02, "--judged-every", 5]
        given += ["--photos", 2, "--sizes", "64", "--iterations", 8, "--turns", 2, "--matrix", 64]
        gpu.main([str(value) for value in given])
        return (tmp_path / "out" / "gpu.md").read_text(), json.loads((tmp_path / "out" / "gpu.json").read_text())

    go.out = tmp_path / "out"
    return go


class Stops:
    """A deadline that is reached when it has been asked so often."""

    def __init__(self, questions):
        self.questions = questions

    def within(self, seconds=0.0):
        self.questions -= 1
        return self.questions < 0

    def left(self):
        return None


def test_what_was_stopped_goes_on(run, bundled, monkeypatch):
    # Before the first style and after each of its steps, before the second and after the first two of its steps.
    monkeypatch.setattr(gpu, "Deadline", lambda minutes: Stops(1 + 6 + 1 + 2 - 1))
    report, state = run("train")
    assert state["whole"] == {"train": False} and "| One | 6 | 2 |" in report and "| Two | 2 of 6 | 2 |" in report
    one = run.out / "styles/one.checkpoint"
    begun, seconds = one.read_bytes(), json.loads((run.out / "styles/two.json").read_text())["seconds"]
    assert load_training(run.out / "styles/two.checkpoint").step == 2
    monkeypatch.setattr(gpu, "Deadline", Deadline)
    report, state = run("train")
    assert state["whole"] == {"train": True} and "| Two | 6 | 2 |" in report
    assert one.read_bytes() == begun and json.loads((run.out / "styles/two.json").read_text())["seconds"] > seconds
    # What only a training needs is gone.
    for name in ("one", "two"):
        done = load_training(run.out / f"styles/{name}.checkpoint")
        assert done.step == 6 and not done.optimizer and (done.started_from, done.earlier_steps) == (name, 7)
        assert done.settings.mixed_precision and done.settings.batch == 2
        steps = [row.split(",")[0] for row in (run.out / f"styles/{name}.losses.csv").read_text().splitlines()[1:]]
        assert steps == list("123456") and (run.out / f"styles/{name}.preview.jpg").exists()


def test_a_trained_style_is_shown_beside_the_bundled_one(run):
    parts = ("pace", "train", "new-style", "compare")
    report, state = run(",".join(parts), ["one"])
    assert state["whole"] == dict.fromkeys(parts, True) and not state["failed"]
    assert read_starting_network(run.out / "styles/one.onnx").steps == 7 + 6
    assert Image.open(run.out / "compare/one.jpg").size[0] == 3 * collection.SHEET_SIDE
    compared = json.loads((run.out / "compare.json").read_text())["one"]
    assert compared["photos"] == 2 and compared["new"]["objective"] < compared["bundled"]["objective"]
    (new,) = json.loads((run.out / "new-style.json").read_text())
    assert (new["name"], new["started_from"], new["full_steps"]) == ("two", "one", 7)
    assert new["last_objective"] < new["first_objective"] == new["curve"]["losses"][0]
    paces = json.loads((run.out / "pace.json").read_text())
    assert [pace["batch"] for pace in paces] == [1, 2] and all(pace["seconds"] > 0 for pace in paces)
    # Nothing is done twice.
    before = {path: path.stat().st_mtime_ns for path in run.out.rglob("*.*") if not path.name.startswith("gpu")}
    assert run(",".join(parts), ["one"])[0] == report
    assert before == {path: path.stat().st_mtime_ns for path in run.out.rglob("*.*") if not path.name.startswith("gpu")}


def test_compact_is_trained_in_stages_and_judged(run, tmp_path, monkeypatch):
    # The bundled one answers on the scale of another teacher.
    small = new_student(STAGE, dict.fromkeys(CONV_LAYERS, 12))
    save_compact(small, tmp_path / "compact.safetensors", {})
    monkeypatch.setattr(weights, "COMPACT", tmp_path / "compact.safetensors")
    report, state = run("compact")
    assert state["whole"] == {"compact": True}
    stages = json.loads((run.out / "compact/stages.json").read_text())
    assert [(stage["steps"], stage["done"]) for stage in stages] == [(3, True), (2, True)]
    assert "| bundled |" in report and "| new |" in report and "| 64 | 4 + 1 | 2 |" in report
    found = json.loads((run.out / "compact/new/compact.json").read_text())
    assert found["network"] == "stage-2" and 0 < found["time_ratio"] < 1
    assert (run.out / "compact/new/wave.png").exists()
    assert [r["painting"] for r in found["renders"]] == ["The Starry Night", "The Great Wave"]


def test_the_fall_back_is_told(run):
    report, state = run("fall-back")
    assert state["whole"] == {"fall-back": True}
    assert report.count("CPUExecutionProvider (this ONNX Runtime is built for the CPU)") >= 1


@pytest.mark.slow
def test_the_times_of_others_are_in_the_report(run, monkeypatch):
    monkeypatch.setattr(inference, "CLASSIC", replace(inference.CLASSIC, width=8, residual_blocks=1))
    monkeypatch.setitem(iterative.PRESETS, "default", Recipe(replace(PLAIN_SETTINGS, iterations=8)))
    report, state = run("inference,iterative")
    assert state["whole"] == {"inference": True, "iterative": True}
    assert "| 64x64 | ONNX Runtime fp32 | ours |" in report and "At 64 pixels:" in report
    assert "| 64 | VGG-19's shape |" in report


def test_a_part_that_fails_does_not_stop_the_next(run, monkeypatch, capsys):
    def fails(options, deadline):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setitem(gpu.PARTS, "pace", fails)
    with pytest.raises(SystemExit) as stopped:
        run("pace,fall-back")
    assert stopped.value.code == 1
    state = json.loads((run.out / "gpu.json").read_text())
    assert "device-side assert" in state["failed"]["pace"] and state["whole"] == {"fall-back": True}


def test_an_unknown_part_is_one_sentence(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("dance")
    assert stopped.value.code == 2 and "choose from pace, train, inference" in capsys.readouterr().err
