import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from benchmarks import iterative
from benchmarks.iterative import Way
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.recipes import Recipe
from nst_core.iterative.render import IterativeProgress

HERE = torch.device("cpu")


def curve(seconds, losses):
    return {"optimizers": ["lbfgs"], "iterations": [0, 5, 10], "seconds": seconds, "losses": losses}


def test_the_time_to_a_loss_lies_on_the_line():
    found = curve([0.0, 2.0, 4.0], [5.0, 3.0, 3.5])
    assert iterative.time_to(found, 4.5) == pytest.approx(0.5)
    assert iterative.time_to(found, 3.0) == 2.0
    assert iterative.time_to(found, 5.0) == 0.0
    assert iterative.time_to(found, 2.9) is None


def test_the_standings_are_by_the_classic_and_the_plain_way():
    curves = {
        "classic L-BFGS": curve([0.0, 5.0, 10.0], [11.0, 3.0, 1.0]),
        "plain L-BFGS": curve([0.0, 2.0, 8.0], [11.0, 2.5, 1.6]),
        "other": curve([0.0, 1.0, 2.0], [11.0, 2.0, 1.5]),
    }
    classic, plain, other = iterative.standings(curves)
    assert classic["share_of_drop"] == 1 and classic["time_to_same"] == 1 and plain["time_to_plain"] == 1
    # Nine tenths of the drop of ten leave a loss of 2.
    assert classic["time_to_most"] == pytest.approx(0.75) and other["time_to_most"] == pytest.approx(0.1)
    assert other["time_to_same"] is None and other["share_of_drop"] == pytest.approx(0.95)
    assert other["time_to_plain"] == pytest.approx(1.8 / 8)
    assert "| other | L-BFGS | 10 | 200 | 1.500 | 95.0% | never | 0.225 | 0.100 |" in iterative.race_table([other])


def test_judging_stops_the_clock(monkeypatch):
    time = [0.0]
    monkeypatch.setitem(iterative.CLOCKS, "wall", lambda: time[0])

    def judge(image):
        time[0] += 100
        return float(image)

    found = iterative.Curve(judge, "wall", HERE, every=2)
    found.begin(torch.tensor(9.0))
    for iteration in range(1, 6):
        time[0] += 1
        assert found.add(IterativeProgress(iteration, 5, {}, torch.tensor(9.0 - iteration)))
    assert (found.iterations, found.seconds, found.losses) == ([0, 2, 4, 5], [0, 2, 4, 5], [9, 7, 5, 4])


@pytest.fixture(scope="module")
def files(samples):
    return samples / "coffee.jpg", samples / "chelsea.jpg"


def test_the_operations_of_an_iteration_worked_out_by_hand(slim_weights, files):
    objective = ObjectiveSettings(content_layers=("relu1_1",), style_layers=("relu2_1",))
    height, width = iterative.resized_to_long_side(iterative.read(files[0], HERE), 64).shape[-2:]
    # conv11 with its head, conv12, and conv21 with its own; 3, 6 and 8 channels.
    full, halved = height * width, (height // 2) * (width // 2)
    first = 2 * full * (9 * 3 * 6 + 6 * 12)
    forwards = first + 2 * (full * 9 * 6 * 6 + halved * (9 * 6 * 6 + 6 * 12))

    def found(**settings):
        way = Way(str(slim_weights), replace(PLAIN_SETTINGS, objective=objective, **settings))
        return iterative.convolution_flops(way, 64, files, HERE, 3)

    # Back to the picture each convolution costs the same once more.
    assert found(optimizer="lbfgs") == {"fp32": 2 * forwards}
    # What is moved is at least as large as the picture, and the photo's features at relu1_1 are new each time.
    assert found(optimizer="adam")["fp32"] >= 2 * forwards + first
    assert found(optimizer="auto") == found(optimizer="adam")  # of Adam's steps alone, though L-BFGS has the first


def test_operations_are_counted_by_the_precision_in_which_they_are_done(slim_weights, files, tmp_path):
    """VGG-19's first layer in bfloat16; a slim network's features exact beside it, and back in bfloat16."""
    first = {name: values for name, values in iterative.random_vgg19().items() if name.startswith("features.0.")}
    save_file(first, tmp_path / "vgg19.safetensors")
    settings = replace(
        PLAIN_SETTINGS,
        objective=ObjectiveSettings(content_layers=("relu1_1",), style_layers=("relu2_1",)),
        optimizer="lbfgs",
        precision="bfloat16",
    )
    way = Way(f"{tmp_path / 'vgg19.safetensors'}+{slim_weights}", settings)
    height, width = iterative.resized_to_long_side(iterative.read(files[0], HERE), 64).shape[-2:]
    full, halved = height * width, (height // 2) * (width // 2)
    slim = 2 * (full * 9 * 3 * 6 + full * 9 * 6 * 6 + halved * (9 * 6 * 6 + 6 * 12))
    found = iterative.convolution_flops(way, 64, files, HERE, 1)
    assert found["fp32"] == slim
    assert found["bf16"] >= slim + 2 * 2 * full * 9 * 3 * 64


def test_the_floor_of_two_precisions_worked_out_by_hand():
    products = {"bf16": iterative.MatrixProduct(10, "bf16", HERE), "fp32": iterative.MatrixProduct(10, "fp32", HERE)}
    # Twice as much as the one product of 2,000 operations, and half as much as the other.
    found = iterative.floors({"bf16": 4000, "fp32": 1000}, products, {"bf16": [1.0, 2.0], "fp32": [3.0, 5.0]})
    assert found == [2 * 1.0 + 0.5 * 3.0, 2 * 2.0 + 0.5 * 5.0]


def test_the_command_writes_its_tables(slim_weights, tmp_path, capsys, files, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(iterative.PRESETS, "default", Recipe(replace(PLAIN_SETTINGS, iterations=8)))
    arguments = ["--features", str(slim_weights), "--size", "64", "--sizes", "48", "--iterations", "12"]
    more = ["--turns", "2", "--matrix", "64", "--threads", "1", "--device", "cpu", "--painting", str(files[1])]
    iterative.main([str(tmp_path / "out"), *arguments, *more])
    report = (tmp_path / "out" / "iterative.md").read_text()
    assert report.strip() == capsys.readouterr().out.strip()
    found = json.loads((tmp_path / "out" / "iterative.json").read_text())
    ways = ["classic L-BFGS", "plain L-BFGS", "default", "compact"]
    assert [r["way"] for r in found["race"]] == ways and [r["way"] for r in found["costs"]] == [*ways, "VGG-19's shape"]
    for made, goal in zip(found["race"], ("time_to_same", "time_to_plain"), strict=False):
        assert made["iterations"] == 12 and made["loss"] < found["photo"] and made[goal] <= 1
    assert "</svg>" in (tmp_path / "out" / "iterative.svg").read_text()
    assert found["judge"] == slim_weights.stem and found["judge"] in report
    for made in found["costs"]:
        assert made["seconds"] > 0 and made["by_floor"] > 0 and made["mib"] > 0
        assert f"| {made['size']} | {made['way']} |" in report


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--photo", "no-such-photo.jpg"], "no-such-photo.jpg"),
        (["--features", "no-such-features"], "no-such-features"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(arguments, sentence, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit) as stopped:
        iterative.main([str(tmp_path), "--device", "cpu", *arguments])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and sentence in error
