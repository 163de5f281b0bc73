"""Trainings by the command line, in processes of their own."""

import json
import re
import shutil

import pytest

from tests.plugin.command_line import interrupt_after_first_step, report


@pytest.fixture
def training(samples, slim_weights):
    """The command for a tiny one, of which photos, batch and steps are left to say."""
    size = ["--crop", 64, "--style-size", 64, "--width", 4]
    return ["train", samples / "coffee.jpg", "-o", "mine.onnx", "--features", slim_weights, *size, "--json"]


def test_distill(run, slim_weights, photos_folder):
    """A tiny network from a tiny teacher; the second call finds it done."""
    places = ["--photos", photos_folder, "--paintings", photos_folder, "--held-out", photos_folder]
    size = ["--channels", "4,4,4,4,4", "--batch", 4, "--crop", 48]
    command = ["distill", "--teacher", slim_weights, "-o", "mine.safetensors", *places, *size, "--json"]
    found = report(run(*command, "--steps", 3))
    assert found["steps"] == 3 and found["teacher"] == "slim" and len(found["agreement"]) == 5
    again = report(run(*command, "--steps", 3))
    assert again == found


def test_ctrl_c_keeps_a_training(run, training, photos_folder):
    command = [*training, "--photos", photos_folder, "--batch", 1, "--steps", 100000]
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
def shared_training(training):
    return [*training, "--device", "cpu", "--batch", 2, "--steps", 100000]


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


def test_train_export_apply(run, sample, training, photos_folder):
    """From a painting to a style that is listed by itself; a second call goes on from the first."""
    command = [*training, "--photos", photos_folder, "--batch", 2, "--title", "Mine"]
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


def test_a_training_without_photos_makes_up_its_own(run, training):
    found = report(run(*training, "--batch", 1, "--steps", 2))
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
