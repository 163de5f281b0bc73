"""``neural-style apply --region`` and ``--protect`` in a process of its own."""

import numpy as np
import pytest
from PIL import Image

from plugin.cli.main import main
from tests.plugin.command_line import json_report


@pytest.fixture
def masks(run):
    """Masks of the photo's left half: plain, in colour, of another size; and one of nothing."""
    mask = np.zeros((300, 451), np.uint8)
    mask[:, :200] = 255
    plain = Image.fromarray(mask)
    plain.save(run.folder / "left.png")
    plain.save(run.folder / "a=b.png")
    plain.resize((90, 60)).save(run.folder / "small.png")
    Image.merge("RGB", [plain, plain, Image.new("L", plain.size, 20)]).save(run.folder / "colour.png")
    Image.new("L", plain.size).save(run.folder / "black.png")


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def test_each_region_has_its_style(run, sample, samples, masks):
    coffee = samples / "coffee.jpg"
    arguments = ["--region", f"a=b.png={coffee}", "--style", "udnie", "--stroke-size", 200, "--feather", 5]
    report = json_report(run("apply", sample, *arguments, "-o", "out.png", "--json"))
    assert report["torch_loaded"] is False
    assert report["regions"] == [{"mask": "a=b.png", "style": str(coffee), "share": pytest.approx(200 / 451, abs=1e-3)}]
    run("apply", sample, "--style", "udnie", "--stroke-size", 200, "-o", "udnie.png")
    run("apply", sample, "--style-image", coffee, "--stroke-size", 200, "-o", "coffee.png")
    out = pixels(run.folder / "out.png")
    assert np.array_equal(out[:, 205:], pixels(run.folder / "udnie.png")[:, 205:])
    assert np.array_equal(out[:, :195], pixels(run.folder / "coffee.png")[:, :195])


def test_rest_stays_a_photo_without_a_style(run, sample, masks):
    done = run("apply", sample, "--region", "left.png=udnie:0.5,great-wave:0.5", "-o", "out.png")
    assert "out.png: 1 region, on the CPU" in done.stdout
    out, photo = pixels(run.folder / "out.png"), pixels(sample)
    assert np.array_equal(out[:, 200:], photo[:, 200:]) and not np.array_equal(out[:, :200], photo[:, :200])


def test_what_is_adapted_is_said(run, sample, masks):
    names = ("small", "colour", "black", "left")
    regions = [argument for name in names for argument in ("--region", f"{name}.png=none")]
    done = run("apply", sample, *regions, "-o", "out.png")
    for sentence in (
        "small.png has 90x60 pixels and the photo 451x300; the mask is resized.",
        "colour.png has colours; its luminance is the mask.",
        "black.png is all black, so nothing is in it.",
        "Some masks overlap; where they do, their styles are blended.",
        "out.png: 4 regions, no style",
    ):
        assert sentence in done.stdout
    assert np.array_equal(pixels(run.folder / "out.png"), pixels(sample))


def test_protected_part_takes_less_of_the_style(run, sample, masks):
    run("apply", sample, "--style", "udnie", "-o", "whole.png")
    run("apply", sample, "--style", "udnie", "--protect", "left.png", "--protected-strength", 0, "-o", "out.png")
    out = pixels(run.folder / "out.png")
    assert np.array_equal(out[:, :200], pixels(sample)[:, :200])
    assert np.array_equal(out[:, 200:], pixels(run.folder / "whole.png")[:, 200:])


@pytest.mark.usefixtures("masks")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--region", "left.png"], "left.png names no style; write a region as in sky.png=starry-night."),
        (["--region", "none.png=udnie"], "There is no mask none.png; check its name"),
        (["--region", "left.png="], "A region names no style"),
        (["--region", "left.png=great-wav"], "did you mean great-wave"),
        (["--region", "left.png=none", "--detail", "50"], "leave out --detail"),
        (["--region", "left.png=none"] * 9, "9 regions are too many; give at most 8."),
        (["small.png", "--region", "left.png=udnie"], "--region is for one photo"),
        (["small.png", "--style", "udnie", "--protect", "left.png"], "--protect is for one photo"),
        (["--style", "udnie", "--protect", "gone.png"], "There is no picture gone.png"),
        (["--region", "left.png=udnie", "-o", "left.png"], "are the same file"),
        (["--style", "udnie", "--protect", "left.png", "-o", "left.png"], "are the same file"),
    ],
)
def test_bad_regions_are_refused_in_one_sentence(run, sample, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(run.folder)
    assert main(["apply", "-o", "out.png", str(sample), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (run.folder / "out.png").exists()
