"""``--colors`` of ``neural-style apply`` and ``render``."""

import numpy as np
import pytest
from PIL import Image

from plugin.cli.main import main
from plugin.engine.imaging.colour_matching import ColourStatistics
from plugin.engine.imaging.picture import Picture


def colours(path):
    with Image.open(path) as image:
        return ColourStatistics.of(Picture(np.asarray(image.convert("RGB"))))


@pytest.fixture
def paint(run, sample, samples, monkeypatch):
    """Paints the sample photo in the style of another one, and measures the colours of the result."""
    monkeypatch.chdir(run.folder)
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(run.folder / "home"))
    monkeypatch.setattr("plugin.engine.instant.style_measurement.STYLE_PIXELS", 160**2)

    def call(colors, command=("apply", "--stroke-size", "200", "--style")):
        name, *arguments = command
        code = main([name, str(sample), *arguments, str(samples / "rocket.jpg"), "--colors", colors, "-o", "out.png"])
        assert code == 0
        return colours(run.folder / "out.png")

    return call


def test_each_choice_has_the_colours_that_it_names(paint, sample, samples):
    photo, style = colours(sample), colours(samples / "rocket.jpg")
    results = {choice: paint(choice) for choice in ("painting", "photo", "photo-before", "only")}
    for choice in ("photo", "photo-before"):
        assert results[choice].distance(photo) < 0.5 * results["painting"].distance(photo)
    assert results["only"].distance(style) < 0.3 * photo.distance(style)


def test_only_the_colours_leaves_the_photos_shapes(paint, run, sample):
    paint("only")
    luma = []
    for path in (run.folder / "out.png", sample):
        with Image.open(path) as image:
            luma.append(np.asarray(image.convert("L"), float).ravel())
    assert np.corrcoef(*luma)[0, 1] > 0.9


def test_render_matches_the_style_beforehand_and_records_it(paint, run, sample, slim_weights):
    pytest.importorskip("torch")
    from plugin.cli.picture_files import read_record

    network = ("--features", str(slim_weights), "--size", "64", "--iterations", "2", "--coarsest", "0")
    paint("photo-before", ("render", *network, "--style-image"))
    assert read_record(run.folder / "out.png")["colors_before"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["apply", "--style", "udnie", "--colors", "only"], "give a picture as the style, or use --colors photo"),
        (["apply", "--style", "udnie", "--colors", "photo-before"], "which a trained style does not have"),
        (["apply", "--region", "m.png=udnie", "--colors", "only"], "leave it out with --region"),
        (["render", "--style-image", "m.png", "--colors", "only"], "`neural-style apply --colors only`"),
    ],
)
def test_choices_that_do_not_apply_are_refused(run, sample, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(run.folder)
    Image.new("L", (8, 8), 255).save("m.png")
    command, *others = arguments
    assert main([command, str(sample), "-o", "out.png", *others]) == 2
    assert message in capsys.readouterr().err
