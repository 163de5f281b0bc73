"""The command line in a process of its own: what all commands share."""

import pytest

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
