"""``neural-style render`` in a process of its own."""

import hashlib
import http.server
import json
import os
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

from plugin.cli.picture_files import read_picture, write_picture
from tests.plugin.command_line import interrupt_after_first_step, json_report


def test_render_paints_the_photo(run, sample, samples, slim_weights):
    report = json_report(
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
    assert (report["width"], report["height"]) == (96, 64) and report["torch_loaded"]
    assert report["feature_network"] == "slim" and report["iterations"] == 5 and report["losses"]["total"] > 0


def test_render_writes_losses_animation_and_metrics(run, sample, samples, slim_weights):
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
    # With --json the metrics are always computed, from the picture as it was written.
    weak = ["--strength", 0, "--json"]
    report = json_report(run("render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", *size, *weak))
    assert report["metrics"]["content"] == 0 and report["metrics"]["ssim"] == 1
    assert report["metrics"]["style_relu1_1"] == 1 and "animation" not in report


@pytest.mark.parametrize("features", [[], ["--features", "compact"]])
def test_render_without_weights_on_disk_uses_compact(run, sample, samples, features, monkeypatch):
    """If no weights are on disk, the default is the bundled feature network."""
    monkeypatch.setenv("TORCH_HOME", str(run.folder / "torch"))
    size = ["--size", 64, "--iterations", 3]
    report = json_report(
        run("render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", *size, *features, "--json")
    )
    assert report["feature_network"] == "compact" and not (run.folder / "torch").exists()


def test_download_is_shown_and_checked(run, sample, tmp_path):
    """The server is on this machine, and its VGG-19 ends after the first convolution."""
    torch = pytest.importorskip("torch")
    content = tmp_path / "vgg19.pth"
    torch.save({"features.0.weight": torch.rand(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}, content)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/vgg19.pth"
        download = (url, hashlib.sha256(content.read_bytes()).hexdigest(), content.stat().st_size)
        probe = (
            "import sys; from nst_core.features import catalogue; from plugin.cli.main import main\n"
            f"catalogue.DOWNLOADS['vgg19'] = catalogue.Download(*{download!r})\n"
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


def test_preset_replaces_layers_that_the_network_lacks(run, sample, samples):
    command = ["render", sample, "--style-image", samples / "rocket.jpg", "-o", "o.png", "--features", "compact"]
    command += ["--preset", "gatys-2017", "--size", 64, "--iterations", 2]
    done = run(*command)
    assert "compact has no relu4_2; relu4_1 is used instead." in done.stdout and done.returncode == 0
    assert run(*command, "--style-layers", "relu1_1,relu2_1").returncode == 0
    refused = run(*command, "--content-layers", "relu4_2")
    assert refused.returncode == 2 and "relu4_1" in refused.stderr


def test_like_repeats_a_recorded_render(run, sample, samples):
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
    report = json_report(run("render", *pictures, *options, "-o", "a.png", "--json"))
    recipe = report["recipe"]
    assert (recipe["size"], recipe["iterations"], recipe["start"]) == (64, 2, "noise")
    assert recipe["optimizer"] == "adam" and recipe["shift"] == 0 and recipe["features"] == "compact"  # the preset's
    assert recipe["objective"]["style_layers"] == ["relu1_1", "relu2_1"]
    assert recipe["objective"]["style_layer_weights"] == [0.5, 1.0] and recipe["objective"]["content_weight"] == 1
    again = json_report(run("render", *pictures, "--like", "a.png", "-o", "b.jpg", "--json"))
    assert again["recipe"] == recipe
    json_report(run("render", *pictures, "--like", "b.jpg", "-o", "c.png", "--json"))
    assert (run.folder / "c.png").read_bytes() == (run.folder / "a.png").read_bytes()
    (run.folder / "mine.toml").write_text("sise = 3")
    refused = run("render", *pictures, "--settings", "mine.toml", "-o", "o.png")
    assert refused.returncode == 2 and refused.stderr.startswith("neural-style: mine.toml: There is no setting 'sise'")


def test_init_starts_from_a_picture(run, sample, samples):
    pictures = [sample, "--style-image", samples / "rocket.jpg", "--features", "compact", "--optimizer", "adam"]
    still = ["--size", 64, "--iterations", 1, "--learning-rate", 1e-5]
    json_report(run("render", *pictures, *still, "--init", samples / "coffee.jpg", "-o", "a.png", "--json"))
    again = ["render", sample, "--style-image", samples / "rocket.jpg", "--like", "a.png", "-o", "b.png", "--json"]
    refused = run(*again)  # the picture may come from anyone, so files that it names are not read
    assert refused.returncode == 2 and f"was painted with --init {samples / 'coffee.jpg'}; give" in refused.stderr
    json_report(run(*again, "--init", samples / "coffee.jpg"))
    with Image.open(run.folder / "a.png") as image, Image.open(samples / "coffee.jpg") as start:
        painted, expected = np.array(image).astype(int), np.array(start.resize(image.size, Image.Resampling.BICUBIC))
    assert np.abs(painted - expected).mean() < 5
    assert (run.folder / "a.png").read_bytes() == (run.folder / "b.png").read_bytes()


@pytest.mark.parametrize(
    "record",
    [
        {"reference_photos": "/"},
        {"initial": "/dev/zero"},
        {"recipe": {"features": "vgg19+/dev/stdin"}},
        {"recipe": {"features": "\\\\host\\share\\x.pth\n\x1b[2J"}},
    ],
)
def test_like_reads_no_file_that_a_record_names(run, sample, record):
    write_picture(read_picture(sample), np.zeros((8, 8, 4), np.float32), run.folder / "odd.png", record)
    start = time.monotonic()
    done = run("render", sample, "--style-image", sample, "--like", "odd.png", "-o", "o.png")
    assert done.returncode == 2 and "give that option too, if the file is yours" in done.stderr
    assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr and time.monotonic() - start < 60


def test_ctrl_c_writes_the_picture_so_far(run, sample, slim_weights):
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


def test_stopped_render_resumes_from_its_checkpoint(run, sample, slim_weights):
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


def test_sigterm_keeps_the_picture_and_the_checkpoint(run, sample, slim_weights):
    command = ["render", sample, "--style-image", sample, "-o", "o.png", "--features", slim_weights, "--size", 64]
    process = run(*command, "--checkpoint-every", 100000, "--iterations", 100000, start=True)
    assert interrupt_after_first_step(process, signal.SIGTERM) == 143
    assert Image.open(run.folder / "o.png").size == (64, 43) and (run.folder / "o.checkpoint").exists()
    other = run(*command, "--iterations", 2)
    assert other.returncode == 0 and other.stdout.startswith("o.checkpoint is left from an interrupted render;")


def test_each_checkpoint_has_its_picture(run, sample, slim_weights):
    """Each has the size that is being painted, and the last iteration has none, because it is the result."""
    size = ["--features", slim_weights, "--size", 96, "--coarsest", 64, "--iterations", 4, "--checkpoint-every", 2]
    size += ["--smaller-iterations", 4, "--optimizer", "lbfgs"]
    report = json_report(run("render", sample, "--style-image", sample, "-o", "o.png", *size, "--json"))
    assert report["checkpoint_pictures"] == ["o-2.png", "o-4.png", "o-6.png"]
    assert sorted(path.name for path in run.folder.glob("o*")) == ["o-2.png", "o-4.png", "o-6.png", "o.png"]
    sizes = [Image.open(run.folder / f"o{n}.png").size for n in ("-2", "-4", "-6", "")]
    assert sizes == [(68, 45), (68, 45), (96, 64), (96, 64)]
    pictures = [np.asarray(Image.open(run.folder / f"o{n}.png")).astype(int) for n in ("-6", "")]
    assert 0 < np.abs(pictures[0] - pictures[1]).mean() < 20


def test_ctrl_c_before_the_first_step_cancels(run, sample, slim_weights):
    process = run("render", sample, "--style-image", sample, "-o", "o.png", "--features", "vgg19", start=True)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0 and not (run.folder / "o.png").exists()


def test_failed_download_names_the_file_and_its_folder(run, sample):
    """The sentence says where to put the weights."""
    probe = (
        "import sys; from nst_core.features import catalogue; from plugin.cli.main import main\n"
        "download = catalogue.Download('http://127.0.0.1:9/vgg19-dcbb9e9d.pth', 'dcbb9e9d', 10**9)\n"
        "catalogue.DOWNLOADS['vgg19'] = download\n"
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
