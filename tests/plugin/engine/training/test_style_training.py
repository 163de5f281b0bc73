"""Train from pictures to style files in this process."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from PIL import Image

from export.to_onnx import export_styles
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast.training_checkpoint import TrainingCheckpoint, load_training, save_training
from nst_core.fast.transformer import TransformerNetwork
from nst_core.style_file import StyleCard, read_styles
from plugin.cli.picture_files import read_picture, write_picture
from plugin.engine.machine import paths
from plugin.engine.training.style_training import TrainingRequest, train_styles
from plugin.engine.training.training_preview import TRAINING_PREVIEW_SIDE

SHAPE = TransformerSettings(width=4, residual_blocks=1)
SETTINGS = TrainSettings(network=SHAPE, steps=2, batch=2, crop=64, style_size=64)


def learned(styles, seed, width=4) -> TrainingCheckpoint:
    """Return a network with random scales and shifts, as if it had learned its styles in 40 steps."""
    settings = dataclasses.replace(SETTINGS, network=dataclasses.replace(SHAPE, width=width, styles=styles))
    torch.manual_seed(seed)
    network = TransformerNetwork(settings.network)
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    return TrainingCheckpoint(settings, 40, network, {}, "slim", ("ab",) * styles, 12, 0)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """A folder with a file of three styles, one of one style, one of another shape, and a damaged one."""
    folder = tmp_path_factory.mktemp("bundled")
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for name, done in (("three", learned(3, 1)), ("single", learned(1, 2)), ("wide", learned(1, 3, width=5))):
        count = done.settings.network.styles
        cards = [StyleCard(f"{name} {n}") for n in range(count)] if count > 1 else [StyleCard(name)]
        export_styles(done, cards, photo, folder / f"{name}.onnx")
    (folder / "damaged.onnx").write_text("no network")
    return folder


@pytest.fixture
def painted(bundled, tmp_path, samples, slim_weights):
    """Paints the sample photo in a bundled style, into a file; that style is then the nearest one."""

    def paint(name):
        from plugin.engine.fast.fast_painting import paint_fast
        from plugin.engine.fast.fast_settings import FastSettings

        (style,) = (s for file in bundled.glob("[stw]*.onnx") for s in read_styles(file) if s.name == name)
        source = read_picture(samples / "chelsea.jpg")
        write_picture(source, paint_fast(source.picture, {style: 1.0}, FastSettings()).pixels, tmp_path / f"{name}.png")
        return tmp_path / f"{name}.png"

    return paint


@pytest.fixture
def train(bundled, tmp_path, photos_folder, slim_weights, monkeypatch):
    """Trains towards the paintings in files; ``settings`` replace those of the training."""
    monkeypatch.setattr(paths, "bundled_styles_folder", lambda: bundled)

    def go(*paintings, name="mine", start=None, from_scratch=False, stop_after=10**9, watch=None, **settings):
        settings = {"style_size": 256, **settings}
        shape = dataclasses.replace(settings.pop("network", SHAPE), styles=len(paintings))

        def progress(step):
            if watch is not None:
                watch(step)
            return step.step < stop_after

        request = TrainingRequest(
            [read_picture(path).picture for path in paintings],
            photos_folder,
            tmp_path / f"{name}.onnx",
            dataclasses.replace(SETTINGS, network=shape, **settings),
            features=str(slim_weights),
            device="cpu",
            start=start,
            from_scratch=from_scratch,
        )
        cards = [StyleCard(f"New {n}") for n in range(len(paintings))]
        return train_styles(request, cards, progress, lambda stage, fraction: None)

    return go


@pytest.mark.parametrize("name", ["three-2", "single"])
def test_training_begins_with_the_nearest_bundled_style(train, painted, tmp_path, name):
    report = train(painted(name))
    assert report["started_from"] == name
    trained = read_styles(tmp_path / "mine.onnx")[0].trained
    assert (trained["started_from"], trained["steps"], trained["earlier_steps"]) == (name, "2", "40")


def test_each_new_style_begins_with_its_own_nearest_one(train, painted, bundled):
    report = train(painted("three-2"), painted("three-0"), steps=1, learning_rate=1e-9)
    assert report["started_from"] == "three-2, three-0"
    tables = torch.load(report["checkpoint"], weights_only=True)["network"]
    expected = learned(3, 1).network.state_dict()
    for name, value in tables.items():
        rows = expected[name][[2, 0]] if "norm" in name else expected[name]
        torch.testing.assert_close(value, rows, atol=1e-6, rtol=0)


def test_training_from_scratch_has_no_earlier_steps(train, painted, tmp_path):
    assert train(painted("single"), from_scratch=True)["started_from"] == ""
    assert load_training(tmp_path / "mine.checkpoint").earlier_steps == 0
    # There is no bundled style of this shape.
    narrow = dataclasses.replace(SHAPE, width=6)
    assert train(painted("single"), name="narrow", network=narrow)["started_from"] == ""


def test_training_begins_with_a_style_file_or_a_checkpoint(train, painted, bundled, tmp_path):
    picture = painted("single")
    report = train(picture, start=bundled / "three.onnx")
    assert report["started_from"] in {f"three-{n}" for n in range(3)}
    save_training(learned(1, 2), tmp_path / "before.checkpoint")
    report = train(picture, name="second", start=tmp_path / "before.checkpoint")
    assert report["started_from"] == "before.checkpoint"
    assert load_training(tmp_path / "second.checkpoint").earlier_steps == 40
    with pytest.raises(StyleError, match="same shape"):
        train(picture, name="third", start=bundled / "wide.onnx")


def test_resumed_training_keeps_its_starting_network(train, painted, tmp_path):
    """It needs no file to start from, and refuses to be from scratch."""
    picture = painted("single")
    whole = train(picture, name="whole", steps=3)
    train(picture, steps=3, stop_after=1)
    resumed = train(picture, steps=3, start=tmp_path / "gone.onnx")
    assert resumed["resumed"] and resumed["started_from"] == whole["started_from"] == "single"
    states = [load_training(tmp_path / f"{name}.checkpoint").network.state_dict() for name in ("whole", "mine")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    with pytest.raises(StyleError, match="began with single, not from scratch"):
        train(picture, steps=4, from_scratch=True)


def test_preview_is_written_during_and_after_training(train, painted, tmp_path):
    """It has a row for each style and a column for each photo."""
    preview, seen = tmp_path / "mine.preview.jpg", []

    def watch(step):
        if preview.exists():
            seen.append((step.step, np.array(Image.open(preview))))

    report = train(
        painted("single"), painted("three-1"), steps=150, batch=1, style_size=64, stop_after=120, watch=watch
    )
    assert report["preview"] == str(preview) and [step for step, _ in seen] == list(range(100, 121))
    side = TRAINING_PREVIEW_SIDE
    last = np.array(Image.open(preview))
    assert last.shape == seen[0][1].shape == (2 * side, 4 * side, 3)
    # It shows step 100 during the training, and step 120 after it was stopped.
    assert (seen[0][1] == seen[-1][1]).all() and (last != seen[-1][1]).any()
    panels = [last[y : y + side, x : x + side] for y in (0, side) for x in range(0, 4 * side, side)]
    assert len({panel.tobytes() for panel in panels}) == 8
