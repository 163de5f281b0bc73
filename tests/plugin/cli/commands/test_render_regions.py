"""``neural-style render`` with regions and masks."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from plugin.cli.main import main
from plugin.cli.picture_files import read_record
from tests.plugin.command_line import json_report


@pytest.fixture
def masks(run, monkeypatch):
    """A mask of the left half, an empty one, and two style pictures, in the current folder."""
    monkeypatch.chdir(run.folder)
    mask = np.zeros((60, 90), np.uint8)
    mask[:, :40] = 255
    Image.fromarray(mask).save(run.folder / "left.png")
    Image.fromarray(0 * mask).save(run.folder / "black.png")
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(generator.integers(0, 256, (60, 60, 3), np.uint8)).save(run.folder / f"{name}.png")


def test_regions_are_rendered_in_one_run(run, sample, masks, slim_weights):
    network = ["--features", slim_weights, "--size", 90, "--iterations", 3]
    arguments = ["--region", "left.png=a.png", "--style-image", "b.png", "--style-mask", "a.png=left.png"]
    report = json_report(run("render", sample, *network, *arguments, "-o", "out.png", "--json"))
    assert report["iterations"] == 3 and report["metrics"] == {}
    assert read_record(run.folder / "out.png")["regions"] == ["left.png=a.png"]


@pytest.mark.usefixtures("masks")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give a painting with --style-image or --region."),
        (["--region", "left.png=none"], "Give a painting"),
        (["--region", "left.png=udnie"], "There is no picture udnie; a render takes pictures"),
        (["--region", "black.png=a.png"], "No part of the photo has a style"),
        (["--style-image", "a.png", "--style-mask", "gone.png"], "There is no picture gone.png"),
        (["--style-image", "a.png", "--style-mask", "black.png"], "mask of a style picture is empty"),
        (["--region", "left.png=a.png", "--style-mask", "left.png"], "names no style picture"),
        (["--region", "left.png=a.png", "-o", "left.png"], "are the same file"),
        (["--region", "left.png=a.png", "-o", "a.png"], "are the same file"),
    ],
)
def test_bad_regions_are_refused_in_one_sentence(run, sample, slim_weights, capsys, arguments, message):
    network = ["--features", str(slim_weights), "--size", "64", "--iterations", "1"]
    code = main(["render", "-o", "out.png", str(sample), *network, *arguments])
    error = capsys.readouterr().err
    assert code == 2 and message in error and "neural-style: " in error
    assert not (run.folder / "out.png").exists()
