"""``neural-style apply`` in a process of its own."""

import numpy as np
from PIL import Image

from tests.plugin.command_line import json_report

SAMPLE_PIXELS = (451, 300)


def test_apply_paints_the_photo(run, sample):
    report = json_report(run("apply", sample, "--style", "great-wave", "-o", "out.png", "--json"))
    assert (report["output"], report["style"], report["torch_loaded"]) == ("out.png", "great-wave", False)
    assert (report["width"], report["height"]) == SAMPLE_PIXELS
    assert report["provider"] in ("CPUExecutionProvider", "CUDAExecutionProvider") and report["provider_reason"]
    assert {"prepare", "load", "inference", "composite", "total"} <= set(report["seconds"]) and report[
        "peak_rss_mib"
    ] > 50
    with Image.open(run.folder / "out.png") as image:
        painted = np.array(image)
    assert painted.shape == (*SAMPLE_PIXELS[::-1], 3) and painted.std() > 20


def test_apply_says_where_it_painted_in_plain_words(run, sample):
    printed = run("apply", sample, "--style", "great-wave", "-o", "out.png")
    assert "The Great Wave off Kanagawa, on the " in printed.stdout + printed.stderr
    assert "ExecutionProvider" not in printed.stdout + printed.stderr


def test_strength_zero_gives_the_photo(run, sample):
    json_report(run("apply", sample, "--style", "great-wave", "-o", "out.png", "--strength", 0, "--json"))
    with Image.open(run.folder / "out.png") as out, Image.open(sample) as photo:
        assert np.abs(np.array(out).astype(int) - np.array(photo)).max() <= 1  # JPEG decoders differ by one


def test_stroke_size_changes_the_picture(run, sample):
    painted = []
    for size in (50, 100, 200):
        json_report(run("apply", sample, "--style", "great-wave", "-o", "out.png", "--stroke-size", size, "--json"))
        with Image.open(run.folder / "out.png") as image:
            assert image.size == SAMPLE_PIXELS
            painted.append(np.array(image).astype(int))
    assert np.abs(painted[0] - painted[1]).mean() > 3 and np.abs(painted[2] - painted[1]).mean() > 3


def test_full_resolution_changes_the_picture(run, sample):
    with Image.open(sample) as photo:
        photo.resize((1200, 800)).save(run.folder / "large.png")
    painted = []
    for option in ((), ("--full-resolution",)):
        json_report(run("apply", "large.png", "--style", "great-wave", "-o", "out.png", "--json", *option))
        with Image.open(run.folder / "out.png") as image:
            painted.append(np.array(image).astype(int))
    assert np.abs(painted[0] - painted[1]).mean() > 3


def test_keep_colors_keeps_the_photos_colours(run, sample):
    options = ("--style", "great-wave", "-o", "out.png", "--keep-colors", "--json")
    json_report(run("apply", sample, *options))
    with Image.open(run.folder / "out.png") as out, Image.open(sample) as photo:
        painted, before = (np.array(picture.convert("YCbCr")).astype(int) for picture in (out, photo))
    apart = np.abs(painted - before).mean((0, 1))
    assert apart[0] > 10 and apart[1:].max() < 3


def test_error_about_an_unknown_style_names_similar_ones(run, sample):
    assert "great-wave" in run("apply", sample, "--style", "great-wav", "-o", "o.png").stderr


def test_too_wide_result_is_refused_before_the_work(run):
    Image.new("RGB", (17000, 2)).save(run.folder / "wide.png")
    refused = run("apply", "wide.png", "--style", "great-wave", "-o", "out.webp")
    assert refused.returncode == 2 and "at most 16383 a side" in refused.stderr
