"""The command line in a process of its own: what all commands share."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from plugin.cli.commands import styles
from plugin.cli.main import main

APPLY = ("apply", "fine.jpg", "--style", "great-wave", "-o", "o.png")
RENDER = ("render", "fine.jpg", "--style-image", "fine.jpg", "-o", "o.png")
TRAIN = ("train", "fine.jpg", "-o", "x.onnx")
BAD = {
    "missing photo": ["apply", "missing.jpg", "--style", "great-wave", "-o", "o.png"],
    "no image": ["apply", "text.jpg", "--style", "great-wave", "-o", "o.png"],
    "truncated": ["apply", "cut.jpg", "--style", "great-wave", "-o", "o.png"],
    "empty": ["apply", "empty.jpg", "--style", "great-wave", "-o", "o.png"],
    "unknown style": ["apply", "fine.jpg", "--style", "great-wav", "-o", "o.png"],
    "style not onnx": ["apply", "fine.jpg", "--style", "text.onnx", "-o", "o.png"],
    "no output folder": ["apply", "fine.jpg", "--style", "great-wave", "-o", "no/o.png"],
    "no format": ["apply", "fine.jpg", "--style", "great-wave", "-o", "o.what"],
    "strength": [*APPLY, "--strength", "900"],
    "strength nan": [*APPLY, "--strength", "nan"],
    "stroke size": [*APPLY, "--stroke-size", "49"],
    "stroke size nan": [*APPLY, "--stroke-size", "nan"],
    "no command": [],
    "unknown option": ["styles", "--what"],
    "style image": ["render", "fine.jpg", "--style-image", "text.jpg", "-o", "o.png"],
    "features": [*RENDER, "--features", "missing.safetensors"],
    "size": [*RENDER, "--size", "1"],
    "like a plain picture": [*RENDER, "--like", "fine.jpg"],
    "like and preset": [*RENDER, "--like", "fine.jpg", "--preset", "crowson"],
    "settings not toml": [*RENDER, "--settings", "text.jpg"],
    "no settings": [*RENDER, "--settings", "missing.toml"],
    "contradiction": [*RENDER, "--coarsest", "0", "--first-iterations", "9"],
    "layer weight": [*RENDER, "--style-layers", "relu1_1=x"],
    "no start": [*RENDER, "--init", "missing.png"],
    "losses": [*RENDER, "--losses", "o.txt"],
    "animation": [*RENDER, "--animation", "no/a.gif"],
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
    "unusable name": [*TRAIN, "--photos", ".", "--features", "SLIM", "--name", "My Style"],
    "no such layer": [*TRAIN, "--photos", ".", "--features", "SLIM", "--style-layers", "relu9_9"],
    "name too long": ["apply", 300 * "x" + ".jpg", "--style", "great-wave", "-o", "o.png"],
    "not onnx ending": ["export", "missing", "-o", "x.bin"],
    "two bases": [*TRAIN, "--from-scratch", "--start-from", "x.checkpoint"],
    "two budgets": [*TRAIN, "--steps", "2000", "--minutes", "1"],
    "base that is no style": [*TRAIN, "--features", "SLIM", "--start-from", "text.onnx"],
    "no photos": [*TRAIN, "--photos", "missing", "--features", "SLIM"],
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


PIPES = {
    "settings": [*RENDER, "--settings", "PIPE"],
    "cards": [*TRAIN, "--photos", ".", "--cards", "PIPE"],
    "faces": [*TRAIN, "--photos", ".", "--features", "SLIM", "--faces", "PIPE"],
    "photos to leave out": [*TRAIN, "--photos", ".", "--features", "SLIM", "--leave-out-photos", "PIPE"],
    "training to start from": [*TRAIN, "--photos", ".", "--features", "SLIM", "--start-from", "PIPE"],
    "decoder to start from": [
        *("train-decoders", "--level", "2", "--photos", ".", "--paintings", ".", "-o", "x.safetensors"),
        *("--start-from", "PIPE"),
    ],
    "checkpoint to export": ["export", "PIPE", "-o", "x.onnx"],
    "film": ["apply", "pipe.mp4", "--style", "great-wave", "-o", "o.mp4"],
    "mask of a region": ["apply", "fine.jpg", "--region", "PIPE=great-wave", "-o", "o.png"],
    "protected part": [*APPLY, "--protect", "PIPE"],
    "output": ["apply", "fine.jpg", "--style", "great-wave", "-o", "PIPE"],
    "losses": [*RENDER, "--losses", "pipe.csv"],
    "list of failures": ["apply", ".", "--style", "great-wave", "-o", "painted", "--failures", "PIPE"],
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("case", PIPES)
def test_pipe_is_refused_and_neither_read_nor_replaced(case, sample, slim_weights, tmp_path, monkeypatch, capsys):
    def give_up(signum, frame):
        raise TimeoutError("it waits for the other end of the pipe")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.jpg").write_bytes(sample.read_bytes())
    pipes = {name: tmp_path / name for name in ("pipe", "pipe.mp4", "pipe.csv")}
    for pipe in pipes.values():
        os.mkfifo(pipe)
    given = {"SLIM": str(slim_weights), "PIPE": str(pipes["pipe"])}
    arguments = [argument.replace("PIPE", given["PIPE"]) for argument in PIPES[case]]
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    try:
        assert main([given.get(argument, argument) for argument in arguments]) == 2
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    errors = capsys.readouterr().err
    assert errors.startswith("neural-style: ") and errors.count("\n") == 1 and "pipe" in errors
    assert all(pipe.is_fifo() for pipe in pipes.values())


def test_ctrl_c_that_a_library_swallows_still_ends_with_130(monkeypatch, capsys):
    def run_styles(options):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        return {}

    monkeypatch.setattr(styles, "run", run_styles)
    assert main(["styles", "--json"]) == 130
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err == "neural-style: cancelled\n"


@pytest.mark.parametrize(
    "module", ["signal", "threading", "plugin.cli.main", "numpy", "plugin.engine.fast.style_library"]
)
def test_ctrl_c_while_modules_load_shows_no_traceback(run, sample, module):
    probe = (
        "import os, runpy, sys\n"
        "class Presser:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        f"            os.kill(os.getpid(), {signal.SIGINT:d})\n"
        "sys.meta_path.insert(0, Presser())\n"
        "runpy.run_module('plugin.cli', run_name='__main__')\n"
    )
    command = ["apply", sample, "--style", "great-wave", "-o", "o.png"]
    done = subprocess.run(
        [sys.executable, "-c", probe, *command],
        cwd=run.folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (130, "neural-style: cancelled\n")
    assert not list(run.folder.glob("o*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_a_network_that_runs(run, sample, number):
    with Image.open(sample) as image:
        image.resize((4800, 3200)).save(run.folder / "large.png", compress_level=0)
    process = run("apply", "large.png", "--style", "great-wave", "--full-resolution", "-o", "o.png", start=True)
    time.sleep(5)
    start = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + number, "neural-style: cancelled\n")
    assert time.monotonic() - start < 10 and not (run.folder / "o.png").exists()


def test_messages_escape_control_characters(capsys):
    assert main(["apply", "\x1b[2J\n.jpg", "--style", "udnie", "-o", "o.png"]) == 2
    with pytest.raises(SystemExit) as done:
        main(["styles", "\x1e\x85"])
    assert done.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert r"\x1b[2J\n.jpg" in first and r"\x1e\x85" in second


def test_report_is_printed_even_if_output_has_no_encoding(monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    assert main(["styles", "--json"]) == 0 and json.loads(output.getvalue())
