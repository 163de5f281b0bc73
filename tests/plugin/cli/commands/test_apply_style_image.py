"""``neural-style apply --style-image`` in a process of its own."""

import numpy as np
from PIL import Image

from tests.plugin.command_line import json_report

SAMPLE_PIXELS = (451, 300)


def test_apply_paints_in_the_style_of_a_picture_without_torch(run, sample, samples):
    style = samples / "rocket.jpg"
    report = json_report(run("apply", sample, "--style-image", style, "-o", "out.png", "--stroke-size", 200, "--json"))
    assert (report["style"], report["torch_loaded"]) == (str(style), False)
    assert (report["width"], report["height"]) == SAMPLE_PIXELS
    assert {"prepare", "style", "encode", "transform", "decode", "composite", "total"} <= set(report["seconds"])
    with Image.open(run.folder / "out.png") as out, Image.open(style) as painting, Image.open(sample) as photo:
        assert out.size == SAMPLE_PIXELS
        means = [np.array(picture.convert("RGB")).mean((0, 1)) for picture in (out, painting, photo)]
    assert np.abs(means[0] - means[1]).max() < 0.5 * np.abs(means[2] - means[1]).max()


def test_several_pictures_are_mixed(run, sample, samples):
    mixture = f"{samples / 'rocket.jpg'}:1,{samples / 'coffee.jpg'}:3"
    report = json_report(
        run("apply", sample, "--style-image", mixture, "-o", "out.png", "--stroke-size", 200, "--json")
    )
    assert report["style"] == f"{samples / 'rocket.jpg'}:0.25,{samples / 'coffee.jpg'}:0.75"


def test_picture_and_trained_style_are_mixed(run, sample, samples):
    """The mixture is the mean of both paintings, whichever of the two options names it."""
    painted = []
    for option, style in (("--style", "udnie"), ("--style", samples / "rocket.jpg"), ("--style-image", None)):
        mixture = style or f"udnie:1,{samples / 'rocket.jpg'}:1"
        done = run("apply", sample, option, mixture, "-o", "out.png", "--stroke-size", 200, "--json")
        report = json_report(done)
        with Image.open(run.folder / "out.png") as out:
            painted.append(np.array(out.convert("RGB")).astype(float))
    assert report["style"] == f"udnie:0.5,{samples / 'rocket.jpg'}:0.5"
    assert np.abs(painted[2] - (painted[0] + painted[1]) / 2).max() <= 1.5


def test_style_picture_is_not_overwritten(run, sample):
    Image.new("RGB", (60, 60), (255, 0, 0)).save(run.folder / "style.png")
    done = run("apply", sample, "--style-image", "style.png", "-o", "style.png")
    assert done.returncode == 2 and "are the same file" in done.stderr


def test_bad_style_pictures_are_refused_in_one_sentence(run, sample):
    (run.folder / "text.jpg").write_text("no picture")
    for number in range(9):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(run.folder / f"{number}.png")
    many = ",".join(f"{number}.png" for number in range(9))
    for arguments, message in (
        (("--style-image", "text.jpg"), "text.jpg cannot be read"),
        (("--style-image", "none.jpg"), "There is no picture none.jpg"),
        (("--style-image", many), "9 style pictures are too many; give at most 8"),
        (("--style-image", "1.png", "--style", "udnie"), "not allowed with argument"),
        (("--style-image", "1.png", "--motifs", "101"), "out of range"),
        ((), "Give a style with --style, --style-image or --region."),
    ):
        done = run("apply", sample, "-o", "out.png", *arguments)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_one_colour_is_painted_with_a_note(run, sample):
    Image.new("RGB", (1, 1), (40, 120, 60)).save(run.folder / "style.png")
    report = json_report(
        run("apply", sample, "--style-image", "style.png", "-o", "out.png", "--stroke-size", 200, "--json")
    )
    assert any("one colour" in note for note in report["notes"])
    with Image.open(run.folder / "out.png") as out:
        assert np.abs(np.array(out.convert("RGB")).mean((0, 1)) - (40, 120, 60)).max() < 25
