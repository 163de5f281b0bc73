"""The command line as people use it: in a process of its own."""

import numpy as np
import pytest
from PIL import Image

from tests.plugin.command_line import report

SAMPLE_PIXELS = (451, 300)


def test_apply(run, sample):
    found = report(run("apply", sample, "--style", "great-wave", "-o", "out.png", "--json"))
    assert (found["output"], found["style"], found["torch_loaded"]) == ("out.png", "great-wave", False)
    assert (found["width"], found["height"]) == SAMPLE_PIXELS
    assert found["provider"] in ("CPUExecutionProvider", "CUDAExecutionProvider") and found["provider_reason"]
    assert {"prepare", "load", "inference", "composite", "total"} <= set(found["seconds"]) and found[
        "peak_rss_mib"
    ] > 50
    with Image.open(run.folder / "out.png") as image:
        painted = np.array(image)
    assert painted.shape == (*SAMPLE_PIXELS[::-1], 3) and painted.std() > 20


def test_strength_zero_gives_the_photo(run, sample):
    report(run("apply", sample, "--style", "great-wave", "-o", "out.png", "--strength", 0, "--json"))
    with Image.open(run.folder / "out.png") as out, Image.open(sample) as photo:
        assert np.abs(np.array(out).astype(int) - np.array(photo)).max() <= 1  # JPEG decoders differ by one


def test_the_stroke_size_changes_the_picture(run, sample):
    painted = []
    for size in (50, 100, 200):
        report(run("apply", sample, "--style", "great-wave", "-o", "out.png", "--stroke-size", size, "--json"))
        with Image.open(run.folder / "out.png") as image:
            assert image.size == SAMPLE_PIXELS
            painted.append(np.array(image).astype(int))
    assert np.abs(painted[0] - painted[1]).mean() > 3 and np.abs(painted[2] - painted[1]).mean() > 3


def test_strokes_at_full_resolution(run, sample):
    with Image.open(sample) as photo:
        photo.resize((1200, 800)).save(run.folder / "large.png")
    painted = []
    for option in ((), ("--full-resolution",)):
        report(run("apply", "large.png", "--style", "great-wave", "-o", "out.png", "--json", *option))
        with Image.open(run.folder / "out.png") as image:
            painted.append(np.array(image).astype(int))
    assert np.abs(painted[0] - painted[1]).mean() > 3


def test_kept_colours(run, sample):
    options = ("--style", "great-wave", "-o", "out.png", "--keep-colors", "--json")
    report(run("apply", sample, *options))
    with Image.open(run.folder / "out.png") as out, Image.open(sample) as photo:
        painted, before = (np.array(picture.convert("YCbCr")).astype(int) for picture in (out, photo))
    apart = np.abs(painted - before).mean((0, 1))
    assert apart[0] > 10 and apart[1:].max() < 3


def test_styles_and_doctor(run):
    assert "great-wave" in [style["name"] for style in report(run("styles", "--json"))["styles"]]
    assert "Hokusai" in run("styles").stdout
    found = report(run("doctor", "--json"))
    assert {"python", "packages", "execution_providers", "gpu", "gimp", "styles", "feature_networks"} <= set(found)


BAD = {
    "missing photo": ["apply", "missing.jpg", "--style", "great-wave", "-o", "o.png"],
    "no image": ["apply", "text.jpg", "--style", "great-wave", "-o", "o.png"],
    "truncated": ["apply", "cut.jpg", "--style", "great-wave", "-o", "o.png"],
    "empty": ["apply", "empty.jpg", "--style", "great-wave", "-o", "o.png"],
    "unknown style": ["apply", "fine.jpg", "--style", "great-wav", "-o", "o.png"],
    "style not onnx": ["apply", "fine.jpg", "--style", "text.onnx", "-o", "o.png"],
    "no output folder": ["apply", "fine.jpg", "--style", "great-wave", "-o", "no/o.png"],
    "no format": ["apply", "fine.jpg", "--style", "great-wave", "-o", "o.what"],
    "strength": ["apply", "fine.jpg", "--style", "great-wave", "-o", "o.png", "--strength", "900"],
    "strength nan": ["apply", "fine.jpg", "--style", "great-wave", "-o", "o.png", "--strength", "nan"],
    "stroke size": ["apply", "fine.jpg", "--style", "great-wave", "-o", "o.png", "--stroke-size", "49"],
    "stroke size nan": ["apply", "fine.jpg", "--style", "great-wave", "-o", "o.png", "--stroke-size", "nan"],
    "no command": [],
    "unknown option": ["styles", "--what"],
    "style image": ["render", "fine.jpg", "--style-image", "text.jpg", "-o", "o.png"],
    "features": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--features", "missing.safetensors"],
    "size": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--size", "1"],
    "like a plain picture": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--like", "fine.jpg"],
    "like and preset": [
        *("render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png"),
        *("--like", "fine.jpg", "--preset", "crowson"),
    ],
    "settings not toml": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--settings", "text.jpg"],
    "no settings": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--settings", "missing.toml"],
    "contradiction": [
        "render",
        "fine.jpg",
        "--style-image",
        "fine.jpg",
        "-o",
        "o.png",
        "--coarsest",
        "0",
        "--first-iterations",
        "9",
    ],
    "layer weight": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--style-layers", "relu1_1=x"],
    "no start": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--init", "missing.png"],
    "losses": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--losses", "o.txt"],
    "animation": ["render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png", "--animation", "no/a.gif"],
    "unknown study": ["study", "nothing", "fine.jpg", "-o", "sheets"],
    "study without style": ["study", "pooling", "fine.jpg", "-o", "sheets"],
    "study layer": [
        "study",
        "content-reconstruction",
        "fine.jpg",
        "-o",
        "s",
        "--content-layers",
        "x",
        "--features",
        "SLIM",
    ],
    "content weights": ["study", "weights", "fine.jpg", "-o", "sheets", "--content-weights", "1,x"],
    "no checkpoint": ["export", "missing", "-o", "x.onnx"],
    "no checkpoint but a picture": ["export", "fine.jpg", "-o", "x.onnx"],
    "unusable name": ["train", "fine.jpg", "-o", "x.onnx", "--photos", ".", "--features", "SLIM", "--name", "My Style"],
    "no such layer": [
        "train",
        "fine.jpg",
        "-o",
        "x.onnx",
        "--photos",
        ".",
        "--features",
        "SLIM",
        "--style-layers",
        "relu9_9",
    ],
    "name too long": ["apply", 300 * "x" + ".jpg", "--style", "great-wave", "-o", "o.png"],
    "not onnx ending": ["export", "missing", "-o", "x.bin"],
    "two bases": ["train", "fine.jpg", "-o", "x.onnx", "--from-scratch", "--start-from", "x.checkpoint"],
    "two budgets": ["train", "fine.jpg", "-o", "x.onnx", "--steps", "2000", "--minutes", "1"],
    "base that is no style": ["train", "fine.jpg", "-o", "x.onnx", "--features", "SLIM", "--start-from", "text.onnx"],
    "no photos": ["train", "fine.jpg", "-o", "x.onnx", "--photos", "missing", "--features", "SLIM"],
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(run, sample, slim_weights, case):
    for name, content in {
        "fine.jpg": sample.read_bytes(),
        "cut.jpg": sample.read_bytes()[:9000],
        "text.jpg": b"no picture",
        "text.onnx": b"no network",
        "empty.jpg": b"",
    }.items():
        (run.folder / name).write_bytes(content)
    before = sorted(run.folder.iterdir())
    done = run(*[str(slim_weights) if a == "SLIM" else a for a in BAD[case]])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("neural-style: ") and done.stderr.count("\n") == 1, done.stderr
    assert sorted(run.folder.iterdir()) == before


def test_unknown_styles_list_the_close_ones(run, sample):
    assert "great-wave" in run("apply", sample, "--style", "great-wav", "-o", "o.png").stderr
