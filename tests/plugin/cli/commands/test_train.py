"""``neural-style train`` and ``export`` in processes of their own."""

import json
import re
import shutil
import signal

import pytest

from tests.plugin.command_line import interrupt_after_first_step, json_report


@pytest.fixture
def training(samples, slim_weights):
    """The command for a tiny training, without its photos, batch and steps."""
    size = ["--crop", 64, "--style-size", 64, "--width", 4]
    return ["train", samples / "coffee.jpg", "-o", "mine.onnx", "--features", slim_weights, *size, "--json"]


def test_ctrl_c_keeps_the_training(run, training, photos_folder):
    command = [*training, "--photos", photos_folder, "--batch", 1, "--steps", 100000]
    process = run(*command, start=True)
    assert interrupt_after_first_step(process) == 0
    report = json.loads(process.stdout.read())
    assert 0 < report["steps"] < 100000 and (run.folder / "mine.onnx").exists()
    # Make the log longer than the checkpoint, as a crash does.
    with (run.folder / "mine.losses.csv").open("a") as log:
        log.write(f"{report['steps'] + 1},0,0,0,0\n")
    again = run(*command, start=True)
    assert interrupt_after_first_step(again) == 0
    steps = [row.split(",")[0] for row in (run.folder / "mine.losses.csv").read_text().splitlines()[1:]]
    assert steps == [str(n + 1) for n in range(json.loads(again.stdout.read())["steps"])]


def test_sigterm_keeps_the_training(run, training):
    command = [*training, "--batch", 1, "--steps", 100000]
    process = run(*command, start=True)
    assert interrupt_after_first_step(process, signal.SIGTERM) == 143
    steps = json.loads(process.stdout.read())["steps"]
    assert 0 < steps < 100000 and (run.folder / "mine.onnx").exists()
    assert json_report(run(*command[:-1], steps))["resumed"]


def test_longest_name_works_and_a_longer_one_is_refused_before_the_work(run, training):
    training[training.index("mine.onnx")] = 243 * "x" + ".onnx"
    done = json_report(run(*training, "--batch", 1, "--steps", 1))
    assert len(done["preview"]) == 255 and (run.folder / done["preview"]).exists()
    training[training.index(243 * "x" + ".onnx")] = 244 * "x" + ".onnx"
    refused = run(*training, "--batch", 1, "--steps", 1)
    assert refused.returncode == 2 and "has 256 bytes, and 255 is the most" in refused.stderr


@pytest.fixture
def shared_training(training):
    return [*training, "--device", "cpu", "--batch", 2, "--steps", 100000]


@pytest.mark.slow
def test_ctrl_c_keeps_a_training_of_two_processes(run, shared_training):
    """One process resumes what two processes began."""
    torch = pytest.importorskip("torch")
    process = run(*shared_training, start=True, processes=2)
    interrupt_after_first_step(process)
    # torchrun ends the processes after half a minute, too soon for the style file on a busy machine.
    steps = torch.load(run.folder / "mine.checkpoint", weights_only=True)["step"]
    assert 0 < steps < 100000
    again = json_report(run(*shared_training, "--steps", steps + 1))
    assert again["resumed"] and again["steps"] == steps + 1
    rows = (run.folder / "mine.losses.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(n + 1) for n in range(again["steps"])]


@pytest.mark.slow
def test_error_ends_all_processes_with_one_sentence(run, shared_training, photos_folder):
    pytest.importorskip("torch")
    folder = run.folder / "photos"
    shutil.copytree(photos_folder, folder)
    for photo in folder.iterdir():
        photo.write_bytes(photo.read_bytes()[:3000])
    done = run(*shared_training, "--photos", folder, processes=2)
    assert done.stderr.count(f"neural-style: Every photo in {folder} is damaged") == 1 and not done.stdout
    assert done.stderr.count("exitcode  : 2") >= 1  # torchrun may end the other one first


def test_trained_style_can_be_exported_and_applied(run, sample, training, photos_folder):
    """A second call resumes the first; a style file in the user's folder can be applied by name."""
    command = [*training, "--photos", photos_folder, "--batch", 2, "--title", "Mine"]
    assert json_report(run(*command, "--steps", 2))["steps"] == 2
    report = json_report(run(*command, "--steps", 4))
    assert report["resumed"] and report["steps"] == 4 and report["photos"] == 12
    rows = (run.folder / "mine.losses.csv").read_text().splitlines()
    assert rows[0] == "step,content,style,tv,mean,total,steady,mesh" and [r.split(",")[0] for r in rows[1:]] == [
        "1",
        "2",
        "3",
        "4",
    ]
    exported = json_report(run("export", "mine.checkpoint", "-o", "again.onnx", "--title", "Mine", "--json"))
    assert exported["difference"] <= 1e-4
    own = run.folder.parent / "home" / "neural-style" / "styles"
    own.mkdir(parents=True)
    (run.folder / "mine.onnx").rename(own / "mine.onnx")
    assert json_report(run("apply", sample, "--style", "mine", "-o", "o.png", "--json"))["style"] == "mine"


def test_several_paintings_share_one_network(run, sample, samples, slim_weights, photos_folder):
    (run.folder / "cards.toml").write_text(
        '[[style]]\ntitle = "Coffee"\nartist = "A"\n[[style]]\ntitle = "Lift-off"\nname = "rocket"\n'
    )
    command = ["train", samples / "coffee.jpg", samples / "rocket.jpg", "-o", "two.onnx", "--photos", photos_folder]
    command += ["--features", slim_weights, "--batch", 2, "--crop", 64, "--style-size", 64, "--width", 4, "--steps", 3]
    assert json_report(run(*command, "--cards", "cards.toml", "--json"))["styles"] == ["coffee", "rocket"]
    own = run.folder.parent / "home" / "neural-style" / "styles"
    own.mkdir(parents=True)
    (run.folder / "two.onnx").rename(own / "two.onnx")
    listed = {style["name"]: style["title"] for style in json_report(run("styles", "--json"))["styles"]}
    assert listed["coffee"] == "Coffee" and listed["rocket"] == "Lift-off"
    mixture = "coffee:1,rocket:2,great-wave:1"
    assert json_report(run("apply", sample, "--style", mixture, "-o", "o.png", "--json"))["style"] == (
        "coffee:0.25,rocket:0.5,great-wave:0.25"
    )
    one = ["export", "two.checkpoint", "-o", "again.onnx", "--title", "Only one"]
    refused = run(*one)
    assert refused.returncode == 2 and "2 styles, and 1 were described" in refused.stderr


def test_training_without_photos_uses_random_shapes(run, training):
    report = json_report(run(*training, "--batch", 1, "--steps", 2))
    assert report["photos"] == 0 and report["steps"] == 2 and (run.folder / "mine.onnx").exists()


def test_training_begins_with_the_nearest_bundled_style(run, samples, slim_weights):
    """Only networks of the default width are bundled."""
    command = ["train", samples / "coffee.jpg", "--features", slim_weights, "--batch", 1, "--crop", 64]
    command += ["--style-size", 64, "--steps", 1]
    begun = re.search(r"1 steps beginning with ([a-z-]+),", run(*command, "-o", "near.onnx").stdout)
    assert begun and begun[1] in [style["name"] for style in json_report(run("styles", "--json"))["styles"]]
    narrow = run(*command, "-o", "narrow.onnx", "--width", 4).stdout
    assert "from scratch (no bundled style has a network of this shape)" in narrow


def test_training_keeps_to_a_budget_in_minutes(run, samples, slim_weights):
    command = ["train", samples / "coffee.jpg", "-o", "mine.onnx", "--features", slim_weights, "--minutes", 0.02]
    done = run(*command, "--batch", 1, "--crop", 64, "--style-size", 64, "--width", 4)
    assert done.returncode == 0 and "larger --minutes" in done.stdout
    rows = (run.folder / "mine.losses.csv").read_text().splitlines()[1:]
    assert f"{len(rows)} steps" in done.stdout and f"{len(rows)}/{len(rows)}" in done.stderr


@pytest.mark.parametrize("text", ["", "[[style]]\nartist = 'A'", "[[style]]\ntitle = 1\nsize = 2", "style = 3", "\xff"])
def test_unusable_cards_are_refused(run, samples, slim_weights, photos_folder, text):
    (run.folder / "cards.toml").write_text(text, encoding="latin-1")
    command = ["train", samples / "coffee.jpg", samples / "rocket.jpg", "-o", "two.onnx", "--photos", photos_folder]
    done = run(*command, "--features", slim_weights, "--cards", "cards.toml")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "cards.toml cannot be used" in done.stderr or "cards.toml is not a TOML file" in done.stderr
