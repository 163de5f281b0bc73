"""The command line as people use it: in a process of its own."""

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLE_PIXELS = (451, 300)


@pytest.fixture
def run(tmp_path):
    """Runs ``neural-style`` in an empty folder with an empty home, several processes of it by ``torchrun``."""
    environment = os.environ | {
        "HOME": str(tmp_path / "home"),
        "NEURAL_STYLE_HOME": str(tmp_path / "home" / "neural-style"),
        "TORCH_HOME": str(tmp_path / "home" / "torch"),
        "PYTHONPATH": os.pathsep.join(p for p in (str(Path.cwd()), os.environ.get("PYTHONPATH")) if p),
    }
    folder = tmp_path / "work"
    folder.mkdir()

    def go(*arguments, start=False, processes=1):
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "plugin.cli", *map(str, arguments)]
        keywords = {
            "cwd": folder,
            "env": environment,
            "text": True,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(command, **keywords) if start else subprocess.run(command, timeout=300, **keywords)

    go.folder = folder
    return go


@pytest.fixture
def sample(samples):
    return samples / "chelsea.jpg"


def report(done) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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


def test_render(run, sample, samples, slim_weights):
    found = report(
        run(
            "render",
            sample,
            "--style-image",
            samples / "rocket.jpg",
            "-o",
            "o.png",
            "--features",
            slim_weights,
            "--size",
            96,
            "--iterations",
            5,
            "--json",
        )
    )
    assert (found["width"], found["height"]) == (96, 64) and found["torch_loaded"]
    assert found["feature_network"] == "slim" and found["iterations"] == 5 and found["losses"]["total"] > 0


def test_a_render_leaves_what_was_asked_for(run, sample, samples, slim_weights):
    size = ["--features", slim_weights, "--size", 96, "--iterations", 7]
    asked = ["--metrics", "--losses", "l.csv", "--animation", "a.gif", "--animation-every", 3]
    done = run("render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", *size, *asked)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ") for line in done.stdout.splitlines() if line.count(": ") == 1)
    assert float(said["ssim"]) < 1 and "style_relu5_1" in said and "l.csv" in done.stdout.splitlines()
    assert len((run.folder / "l.csv").read_text().splitlines()) == 1 + 7
    with Image.open(run.folder / "a.gif") as animation:
        assert animation.n_frames == 4 and animation.size == (96, 64)
    assert not list(run.folder.glob("o-*"))
    # With --json the metrics come unasked, and they are those of the picture as it was written.
    weak = ["--strength", 0, "--json"]
    found = report(run("render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", *size, *weak))
    assert found["metrics"]["content"] == 0 and found["metrics"]["ssim"] == 1
    assert found["metrics"]["style_relu1_1"] == 1 and "animation" not in found


def test_study(run, sample, slim_weights):
    pytest.importorskip("matplotlib")
    chosen = ["--features", slim_weights, "--size", 64, "--iterations", 2, "--content-layers", "relu1_1,conv2_1"]
    done = run("study", "content-reconstruction", sample, *chosen, "-o", "sheets")
    assert done.returncode == 0, done.stderr
    assert "4/4" in done.stderr and "sheets/content-reconstruction.png" in done.stdout
    assert (run.folder / "sheets/content-reconstruction.csv").read_text().count("\nconv2_1,2,") == 1
    maps = ["feature-maps", sample, "--style-image", sample, "--features", slim_weights, "--size", 64, "-o", "sheets"]
    assert report(run("study", *maps, "--json"))["study"] == "feature-maps"


@pytest.mark.parametrize("features", [[], ["--features", "compact"]])
def test_a_render_needs_no_download(run, sample, samples, features, monkeypatch):
    """With no weights on disk the default is the network that comes with the project."""
    monkeypatch.setenv("TORCH_HOME", str(run.folder / "torch"))
    size = ["--size", 64, "--iterations", 3]
    found = report(
        run("render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", *size, *features, "--json")
    )
    assert found["feature_network"] == "compact" and not (run.folder / "torch").exists()


def test_a_fetch_is_shown_and_checked(run, sample, tmp_path):
    """From a server of this machine: a VGG-19 that ends after its first convolution."""
    torch = pytest.importorskip("torch")
    content = tmp_path / "vgg19.pth"
    torch.save({"features.0.weight": torch.rand(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}, content)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/vgg19.pth"
        download = (url, hashlib.sha256(content.read_bytes()).hexdigest(), content.stat().st_size)
        probe = (
            "import sys; from nst_core import weights; from plugin.cli import main\n"
            f"weights.DOWNLOADS['vgg19'] = weights.Download(*{download!r})\n"
            "sys.exit(main(sys.argv[1:]))"
        )
        size = ["--size", "64", "--iterations", "2", "--content-layers", "relu1_1", "--style-layers", "relu1_1"]
        command = ["render", sample, "--style-image", sample, "-o", "o.png", "--features", "vgg19", *size]
        done = subprocess.run(
            [sys.executable, "-c", probe, *command],
            cwd=run.folder,
            capture_output=True,
            text=True,
            env=os.environ | {"TORCH_HOME": str(tmp_path / "torch"), "PYTHONPATH": str(Path.cwd())},
        )
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert "Fetching vgg19" in done.stderr and "100%" in done.stderr
    assert (tmp_path / "torch/hub/checkpoints/vgg19.pth").is_file()


def test_a_preset_fits_itself_to_the_network(run, sample, samples):
    command = ["render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", "--features", "compact"]
    command += ["--preset", "gatys-2017", "--size", 64, "--iterations", 2]
    done = run(*command)
    assert "compact has no relu4_2; relu4_1 takes its place." in done.stdout and done.returncode == 0
    assert run(*command, "--style-layers", "relu1_1,relu2_1").returncode == 0
    refused = run(*command, "--content-layers", "relu4_2")
    assert refused.returncode == 2 and "relu4_1" in refused.stderr


def test_a_result_tells_how_to_repeat_it(run, sample, samples):
    (run.folder / "mine.toml").write_text(
        'size = 64\niterations = 3\nstart = "noise"\n'
        '[objective]\nstyle_layers = "relu1_1=0.5,relu2_1"\ncontent_weight = 1\n'
    )
    pictures = [sample, "--style-image", samples / "rocket.jpg"]
    options = [
        "--preset",
        "owl",
        "--settings",
        "mine.toml",
        "--features",
        "compact",
        "--iterations",
        2,
        "--strength",
        80,
    ]
    found = report(run("render", *pictures, *options, "-o", "a.png", "--json"))
    recipe = found["recipe"]
    assert (recipe["size"], recipe["iterations"], recipe["start"]) == (64, 2, "noise")
    assert recipe["optimizer"] == "adam" and recipe["shift"] == 0 and recipe["features"] == "compact"  # the preset's
    assert recipe["objective"]["style_layers"] == ["relu1_1", "relu2_1"]
    assert recipe["objective"]["style_layer_weights"] == [0.5, 1.0] and recipe["objective"]["content_weight"] == 1
    again = report(run("render", *pictures, "--like", "a.png", "-o", "b.jpg", "--json"))
    assert again["recipe"] == recipe
    report(run("render", *pictures, "--like", "b.jpg", "-o", "c.png", "--json"))
    assert (run.folder / "c.png").read_bytes() == (run.folder / "a.png").read_bytes()
    (run.folder / "mine.toml").write_text("sise = 3")
    refused = run("render", *pictures, "--settings", "mine.toml", "-o", "o.png")
    assert refused.returncode == 2 and refused.stderr.startswith("neural-style: mine.toml: there is no setting 'sise'")


def test_a_render_starts_from_a_picture(run, sample, samples):
    pictures = [sample, "--style-image", samples / "rocket.jpg", "--features", "compact", "--optimizer", "adam"]
    still = ["--size", 64, "--iterations", 1, "--learning-rate", 1e-5]
    report(run("render", *pictures, *still, "--init", samples / "coffee.jpg", "-o", "a.png", "--json"))
    report(run("render", sample, "--style-image", samples / "rocket.jpg", "--like", "a.png", "-o", "b.png", "--json"))
    with Image.open(run.folder / "a.png") as image, Image.open(samples / "coffee.jpg") as start:
        found, expected = np.array(image).astype(int), np.array(start.resize(image.size, Image.Resampling.BICUBIC))
    assert np.abs(found - expected).mean() < 5
    assert (run.folder / "a.png").read_bytes() == (run.folder / "b.png").read_bytes()


def test_distill(run, slim_weights, photos_folder):
    """A tiny network from a tiny teacher; the second call finds it done."""
    places = ["--photos", photos_folder, "--paintings", photos_folder, "--held-out", photos_folder]
    size = ["--channels", "4,4,4,4,4", "--batch", 4, "--crop", 48]
    command = ["distill", "--teacher", slim_weights, "-o", "mine.safetensors", *places, *size, "--json"]
    found = report(run(*command, "--steps", 3))
    assert found["steps"] == 3 and found["teacher"] == "slim" and len(found["agreement"]) == 5
    again = report(run(*command, "--steps", 3))
    assert again == found


def test_ctrl_c_writes_what_there_is(run, sample, slim_weights):
    process = run(
        "render",
        sample,
        "--style-image",
        sample,
        "-o",
        "o.png",
        "--features",
        slim_weights,
        "--size",
        128,
        "--iterations",
        100000,
        "--json",
        start=True,
    )
    assert interrupt_after_first_step(process) == 0
    assert 0 < json.loads(process.stdout.read())["iterations"] < 100000
    assert Image.open(run.folder / "o.png").size == (128, 85)


def test_a_render_that_was_stopped_goes_on(run, sample, slim_weights):
    command = ["render", sample, "--style-image", sample, "-o", "o.png", "--features", slim_weights, "--size", 64]
    command += ["--checkpoint-every", 100000, "--iterations", 100000]
    process = run(*command, start=True)
    assert interrupt_after_first_step(process) == 0
    assert (run.folder / "o.checkpoint").exists()
    refused = run(*command, "--seed", 1)
    assert refused.returncode == 2 and "seed (0 there, 1 here) differs" in refused.stderr
    again = run(*command, start=True)
    assert interrupt_after_first_step(again) == 0 and "Resumed after iteration" in again.stdout.read()
    short = run(*command[:-1], 2, "-o", "p.png")
    assert short.returncode == 0 and not (run.folder / "p.checkpoint").exists()


def test_a_checkpoint_has_its_picture(run, sample, slim_weights):
    """Each as large as the size that is painted at the time, and none of the last, which is the result."""
    size = ["--features", slim_weights, "--size", 96, "--coarsest", 64, "--iterations", 4, "--checkpoint-every", 2]
    size += ["--smaller-iterations", 4, "--optimizer", "lbfgs"]
    found = report(run("render", sample, "--style-image", sample, "-o", "o.png", *size, "--json"))
    assert found["checkpoint_pictures"] == ["o-2.png", "o-4.png", "o-6.png"]
    assert sorted(path.name for path in run.folder.glob("o*")) == ["o-2.png", "o-4.png", "o-6.png", "o.png"]
    sizes = [Image.open(run.folder / f"o{n}.png").size for n in ("-2", "-4", "-6", "")]
    assert sizes == [(68, 45), (68, 45), (96, 64), (96, 64)]
    pictures = [np.asarray(Image.open(run.folder / f"o{n}.png")).astype(int) for n in ("-6", "")]
    assert 0 < np.abs(pictures[0] - pictures[1]).mean() < 20


def test_ctrl_c_keeps_a_training(run, samples, slim_weights, photos_folder):
    command = [
        "train",
        samples / "coffee.jpg",
        "-o",
        "mine.onnx",
        "--photos",
        photos_folder,
        "--features",
        slim_weights,
    ]
    command += ["--batch", 1, "--crop", 64, "--style-size", 64, "--width", 4, "--steps", 100000, "--json"]
    process = run(*command, start=True)
    assert interrupt_after_first_step(process) == 0
    found = json.loads(process.stdout.read())
    assert 0 < found["steps"] < 100000 and (run.folder / "mine.onnx").exists()
    # As after a hard stop: the log is ahead of the checkpoint.
    with (run.folder / "mine.losses.csv").open("a") as log:
        log.write(f"{found['steps'] + 1},0,0,0,0\n")
    again = run(*command, start=True)
    assert interrupt_after_first_step(again) == 0
    steps = [row.split(",")[0] for row in (run.folder / "mine.losses.csv").read_text().splitlines()[1:]]
    assert steps == [str(n + 1) for n in range(json.loads(again.stdout.read())["steps"])]


@pytest.fixture
def shared_training(samples, slim_weights):
    command = ["train", samples / "coffee.jpg", "-o", "mine.onnx", "--features", slim_weights, "--device", "cpu"]
    return [*command, "--batch", 2, "--crop", 64, "--style-size", 64, "--width", 4, "--steps", 100000, "--json"]


@pytest.mark.slow
def test_ctrl_c_keeps_a_training_by_two_processes(run, shared_training):
    """A process alone goes on from there."""
    torch = pytest.importorskip("torch")
    process = run(*shared_training, start=True, processes=2)
    interrupt_after_first_step(process)
    # The rest has half a minute before torchrun ends it, which is too little for the style file on a busy machine.
    steps = torch.load(run.folder / "mine.checkpoint", weights_only=True)["step"]
    assert 0 < steps < 100000
    again = report(run(*shared_training, "--steps", steps + 1))
    assert again["resumed"] and again["steps"] == steps + 1
    rows = (run.folder / "mine.losses.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(n + 1) for n in range(again["steps"])]


@pytest.mark.slow
def test_an_error_ends_all_processes_with_one_sentence(run, shared_training, photos_folder):
    pytest.importorskip("torch")
    folder = run.folder / "photos"
    shutil.copytree(photos_folder, folder)
    for photo in folder.iterdir():
        photo.write_bytes(photo.read_bytes()[:3000])
    done = run(*shared_training, "--photos", folder, processes=2)
    assert done.stderr.count(f"neural-style: Every photo in {folder} is damaged") == 1 and not done.stdout
    assert done.stderr.count("exitcode  : 2") >= 1  # torchrun may end the other one first


def test_ctrl_c_before_there_is_anything_cancels(run, sample, slim_weights):
    process = run("render", sample, "--style-image", sample, "-o", "o.png", "--features", "vgg19", start=True)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0 and not (run.folder / "o.png").exists()


def interrupt_after_first_step(process) -> int:
    """Presses Ctrl-C when the progress bar shows up; returns the exit code."""
    shown = ""
    while "/100000" not in shown:
        letter = process.stderr.read(1)
        assert letter, shown
        shown += letter
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=120)


def test_no_network_names_the_file_and_its_place(run, sample):
    """Whether the download is refused or cut off, the sentence says where the weights go."""
    probe = (
        "import sys; from nst_core import weights; from plugin.cli import main\n"
        "weights.DOWNLOADS['vgg19'] = weights.Download('http://127.0.0.1:9/vgg19-dcbb9e9d.pth', 'dcbb9e9d', 10**9)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, "render", sample, "--style-image", sample, "-o", "o.png", "--features", "vgg19"],
        cwd=run.folder,
        capture_output=True,
        text=True,
        env=os.environ | {"TORCH_HOME": str(run.folder / "torch"), "PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 2 and "vgg19-dcbb9e9d.pth" in done.stderr and str(run.folder / "torch") in done.stderr
    assert not (run.folder / "o.png").exists()


def test_train_export_apply(run, sample, samples, slim_weights, photos_folder):
    """From a painting to a style that is listed by itself; a second call goes on from the first."""
    command = [
        "train",
        samples / "coffee.jpg",
        "-o",
        "mine.onnx",
        "--photos",
        photos_folder,
        "--features",
        slim_weights,
        "--batch",
        2,
        "--crop",
        64,
        "--style-size",
        64,
        "--width",
        4,
        "--title",
        "Mine",
        "--json",
    ]
    assert report(run(*command, "--steps", 2))["steps"] == 2
    found = report(run(*command, "--steps", 4))
    assert found["resumed"] and found["steps"] == 4 and found["photos"] == 12
    rows = (run.folder / "mine.losses.csv").read_text().splitlines()
    assert rows[0] == "step,content,style,tv,total,mesh" and [r.split(",")[0] for r in rows[1:]] == ["1", "2", "3", "4"]
    exported = report(run("export", "mine.checkpoint", "-o", "again.onnx", "--title", "Mine", "--json"))
    assert exported["difference"] <= 1e-4
    own = run.folder.parent / "home" / "neural-style" / "styles"
    own.mkdir(parents=True)
    (run.folder / "mine.onnx").rename(own / "mine.onnx")
    assert report(run("apply", sample, "--style", "mine", "-o", "o.png", "--json"))["style"] == "mine"


def test_several_paintings_share_one_network(run, sample, samples, slim_weights, photos_folder):
    (run.folder / "cards.toml").write_text(
        '[[style]]\ntitle = "Coffee"\nartist = "A"\n[[style]]\ntitle = "Lift-off"\nname = "rocket"\n'
    )
    command = ["train", samples / "coffee.jpg", samples / "rocket.jpg", "-o", "two.onnx", "--photos", photos_folder]
    command += ["--features", slim_weights, "--batch", 2, "--crop", 64, "--style-size", 64, "--width", 4, "--steps", 3]
    assert report(run(*command, "--cards", "cards.toml", "--json"))["styles"] == ["coffee", "rocket"]
    own = run.folder.parent / "home" / "neural-style" / "styles"
    own.mkdir(parents=True)
    (run.folder / "two.onnx").rename(own / "two.onnx")
    listed = {style["name"]: style["title"] for style in report(run("styles", "--json"))["styles"]}
    assert listed["coffee"] == "Coffee" and listed["rocket"] == "Lift-off"
    mixture = "coffee:1,rocket:2,great-wave:1"
    assert report(run("apply", sample, "--style", mixture, "-o", "o.png", "--json"))["style"] == (
        "coffee:0.25,rocket:0.5,great-wave:0.25"
    )
    one = ["export", "two.checkpoint", "-o", "again.onnx", "--title", "Only one"]
    refused = run(*one)
    assert refused.returncode == 2 and "2 styles, and 1 were described" in refused.stderr


def test_a_training_without_photos_makes_up_its_own(run, samples, slim_weights):
    command = ["train", samples / "coffee.jpg", "-o", "mine.onnx", "--features", slim_weights, "--json"]
    command += ["--batch", 1, "--crop", 64, "--style-size", 64, "--width", 4, "--steps", 2]
    found = report(run(*command))
    assert found["photos"] == 0 and found["steps"] == 2 and (run.folder / "mine.onnx").exists()


def test_a_training_begins_with_the_nearest_bundled_style(run, samples, slim_weights):
    """Ours has a network of the default width, and none is there for another one."""
    command = ["train", samples / "coffee.jpg", "--features", slim_weights, "--batch", 1, "--crop", 64]
    command += ["--style-size", 64, "--steps", 1]
    begun = re.search(r"1 steps beginning with ([a-z-]+),", run(*command, "-o", "near.onnx").stdout)
    assert begun and begun[1] in [style["name"] for style in report(run("styles", "--json"))["styles"]]
    narrow = run(*command, "-o", "narrow.onnx", "--width", 4).stdout
    assert "from scratch (no bundled style has a network of this shape)" in narrow


def test_a_training_with_a_budget_in_minutes(run, samples, slim_weights):
    command = ["train", samples / "coffee.jpg", "-o", "mine.onnx", "--features", slim_weights, "--minutes", 0.02]
    done = run(*command, "--batch", 1, "--crop", 64, "--style-size", 64, "--width", 4)
    assert done.returncode == 0 and "larger --minutes" in done.stdout
    rows = (run.folder / "mine.losses.csv").read_text().splitlines()[1:]
    assert f"{len(rows)} steps" in done.stdout and f"{len(rows)}/{len(rows)}" in done.stderr


@pytest.mark.parametrize("text", ["", "[[style]]\nartist = 'A'", "[[style]]\ntitle = 1\nsize = 2", "style = 3", "\xff"])
def test_cards_that_cannot_be_used_are_refused(run, samples, slim_weights, photos_folder, text):
    (run.folder / "cards.toml").write_text(text, encoding="latin-1")
    command = ["train", samples / "coffee.jpg", samples / "rocket.jpg", "-o", "two.onnx", "--photos", photos_folder]
    done = run(*command, "--features", slim_weights, "--cards", "cards.toml")
    assert done.returncode == 2 and "cards.toml cannot be used" in done.stderr and done.stderr.count("\n") == 1
