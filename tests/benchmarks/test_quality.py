import math
import shutil
import tarfile
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from benchmarks import quality
from export.to_onnx import export_styles
from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast.training_checkpoint import TrainingCheckpoint
from nst_core.fast.transformer import TransformerNetwork
from nst_core.losses.functional import total_variation
from nst_core.style_file import PREFIX, StyleCard

SETTINGS = TrainSettings(
    objective=ObjectiveSettings(content_layers=("relu3_1",), content_weight=0.5, tv_weight=7.0), style_size=80
)


# ---- what a network is worth ------------------------------------------------------------------------------------


def test_worth_between_the_points():
    iterations = (10, 25, 50, 100, 200)
    power_law = [7 * n**-0.5 for n in iterations]
    for n in (10.01, 17, 50, 60, 199):
        assert quality.worth(7 * n**-0.5, iterations, power_law) == pytest.approx(n)


def test_worth_is_honest_at_both_ends():
    iterations, objectives = (10, 25, 50), (3.0, 2.0, 1.0)
    assert quality.worth(3.1, iterations, objectives) == 0
    assert quality.worth(0.9, iterations, objectives) == math.inf
    assert quality.in_words((0, 0, math.inf), iterations) == "<10 (<10 to >50)"
    assert quality.in_words((31.4, 0, 40), iterations) == "31 (<10 to 40)"


def test_worth_where_the_render_gets_worse_again():
    assert quality.worth(1.5, (10, 20, 40, 80), (3.0, 1.0, 2.0, 0.5)) < 20


# ---- the whole run ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def assets_folder(slim_weights, photos_folder, samples, tmp_path_factory):
    """What the benchmark reads, small, and a style file "small" that says it was trained with SETTINGS."""
    folder = tmp_path_factory.mktemp("assets")
    for name in ("weights", "photos", "styles"):
        (folder / name).mkdir()
    shutil.copy(slim_weights, folder / "weights")
    shutil.copy(samples / "coffee.jpg", folder / "styles")
    with tarfile.open(folder / "photos" / "holdout.tar", "w") as tar:
        for path in sorted(photos_folder.iterdir())[:5]:
            tar.add(path, path.name)
    describe(folder / "small.onnx", slim_weights.stem, SETTINGS)
    return folder


def describe(path, features, settings, seed=0):
    """Write a style file of a tiny network that says it was trained like this."""
    shape = TransformerSettings(width=4, residual_blocks=1)
    torch.manual_seed(seed)
    done = TrainingCheckpoint(
        replace(SETTINGS, network=shape), 7, TransformerNetwork(shape), {}, features, ("ab",), 12, 0
    )
    export_styles(done, [StyleCard("Small")], np.zeros((40, 50, 3), np.uint8), path)
    if settings != SETTINGS:
        model = onnx.load(path)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        onnx.helper.set_model_props(model, entries | {f"{PREFIX}trained.settings": settings})
        onnx.save(model, path)


@pytest.fixture
def options(assets_folder, tmp_path):
    def parsed(*more, photos=1):
        given = [assets_folder, tmp_path / "out", "--style", assets_folder / "small.onnx", "--photos", photos]
        given += ["--painting", f"small={assets_folder}/styles/coffee.jpg", "--size", 64, "--device", "cpu"]
        return [str(value) for value in (*given, "--iterations", "2,6", *more)]

    return parsed


def measured(arguments):
    chosen = quality.parser().parse_args(arguments)
    return quality.measure_all(quality.read_subjects(chosen), chosen)


def test_the_settings_are_those_of_the_training(options):
    (subject,) = quality.read_subjects(quality.parser().parse_args(options()))
    assert (subject.objective, subject.style_size) == (SETTINGS.objective, 80)
    assert subject.features.name == "slim" and subject.painting.shape[:2] == (1, 3)


def test_the_objective_is_that_of_the_training(options, half_flat_photo):
    """With all weights but one at 0 or next to it, it is what the one loss says of the picture."""
    (subject,) = quality.read_subjects(quality.parser().parse_args(options()))
    smooth = replace(subject.objective, content_weight=0.0, style_weight=1e-9)
    photo = torch.nn.functional.interpolate(half_flat_photo[None], (48, 64), mode="area")
    chosen = quality.parser().parse_args(options("--iterations", "1,8"))
    found = quality.measure(replace(subject, settings=replace(subject.settings, objective=smooth)), 0, photo, chosen)[
        "fast"
    ]["objective"]
    assert found == pytest.approx(7 * total_variation(quality.painted(subject.style, photo)).item(), rel=1e-4)
    both = quality.measure(subject, 0, photo, chosen)
    assert both["fast"]["objective"] > found
    for curve in both["render"].values():
        assert curve[1] < curve[0]
    # White noise has neither the photo's content nor its smoothness.
    assert both["render"]["noise"][0] > 1.5 * both["render"]["photo"][0]


def test_an_interrupted_run_goes_on(options, tmp_path, monkeypatch):
    whole = quality.render_scores
    taken = []

    def interrupted(subject, photo, iterations, seed, *rest):
        taken.append(seed)
        if len(taken) == 2:
            raise KeyboardInterrupt
        return whole(subject, photo, iterations, seed, *rest)

    monkeypatch.setattr(quality, "render_scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measured(options(photos=2))
    assert taken == [0, 2]
    assert {path.name for path in (tmp_path / "out/raw/small").iterdir()} == {"000.render.json", "000.fast.json"}
    records = measured(options(photos=2))
    assert taken == [0, 2, 2] and [record["photo"] for record in records] == [0, 2]
    assert measured(options(photos=2)) == records and len(taken) == 3


def test_what_has_changed_is_measured_anew(options, assets_folder, tmp_path):
    (first,) = measured(options())
    (second,) = measured([*options(), "--iterations", "1"])
    assert second["iterations"] == [1] and second["fast"] == first["fast"]
    (third,) = measured([*options(), "--painting", f"small={assets_folder}/photos/../styles/coffee.jpg"])
    assert third == first  # the same painting by another path
    (fourth,) = measured([*options(), "--size", "80"])
    assert fourth["fast"]["objective"] != first["fast"]["objective"]


def test_another_network_needs_no_new_renders(options, slim_weights, tmp_path, monkeypatch):
    (first,) = measured(options())
    describe(tmp_path / "small.onnx", slim_weights.stem, SETTINGS, seed=1)
    monkeypatch.setattr(quality, "render_scores", None)
    (second,) = measured([str(tmp_path / "small.onnx") if a.endswith("small.onnx") else a for a in options()])
    assert second["render"] == first["render"] and second["fast"]["objective"] != first["fast"]["objective"]


def test_nothing_is_left_of_a_write_that_fails(tmp_path, full_disk):
    path = tmp_path / "folder" / "record.json"
    with full_disk(), pytest.raises(StyleError, match=r"record.json cannot be written"):
        quality.write(path, lambda partial: partial.write_text("x" * 5000))
    assert list(path.parent.iterdir()) == []


def test_the_report_and_the_plot(options, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    quality.main(options(photos=2))
    text = (tmp_path / "out/quality.md").read_text()
    assert text in capsys.readouterr().out
    assert "2 held-out photos of at most 64 pixels" in text and "| style | from | 2 | 6 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| Small |")]
    assert len(rows) == 4  # worth, look, and the renders from noise and from the photo
    plot = ElementTree.parse(tmp_path / "out/quality.svg").getroot()
    assert plot.tag.endswith("svg")


def test_bad_input_is_one_sentence(options, assets_folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")

    def said(arguments):
        with pytest.raises(SystemExit) as end:
            quality.main(arguments)
        assert end.value.code == 2
        return capsys.readouterr().err

    unknown = [argument for argument in options() if not argument.startswith("small=") and argument != "--painting"]
    assert "give it with --painting small=FILE" in said(unknown)
    for wrong in ("layout", "[]", '{"objective": {"size": 3}, "style_size": 3}', '{"objective": {}}'):
        describe(tmp_path / "odd.onnx", "slim", wrong)
        assert "small does not say how it was trained" in said([*options(), "--style", str(tmp_path / "odd.onnx")])
    describe(tmp_path / "odd.onnx", "another", SETTINGS)
    assert "There is no feature network 'another'" in said([*options(), "--style", str(tmp_path / "odd.onnx")])
    assert "invalid" in said([*options(), "--iterations", "0"]) and "invalid" in said([*options(), "--photos", "x"])
