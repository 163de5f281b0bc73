"""``apply`` with a film, in a process of its own."""

import re
import signal

import pytest

from tests.plugin.command_line import json_report

av = pytest.importorskip("av")
pytest.importorskip("cv2")
STYLE = ("--style", "great-wave")


@pytest.fixture
def clip(run, samples):
    """A film of 20 frames."""
    return make_clip(run.folder / "clip.mp4", samples, 20)


def make_clip(path, samples, count):
    """Make a film of a photo that moves."""
    import numpy as np
    from PIL import Image

    with Image.open(samples / "chelsea.jpg") as photo:
        scene = np.asarray(photo.convert("RGB").resize((200, 150)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            left = 3 * number % 136
            part = np.ascontiguousarray(scene[40:88, left : left + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def frames(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_film_is_painted(run, clip):
    report = json_report(run("apply", clip, *STYLE, "-o", "out.mp4", "--json"))
    assert (report["frames"], report["frames_kept"], report["style"]) == (20, 0, "great-wave")
    painted, before = frames(run.folder / "out.mp4"), frames(clip)
    assert len(painted) == 20 and abs(painted[5].astype(int) - before[5]).mean() > 20
    assert sorted(path.name for path in run.folder.iterdir()) == ["clip.mp4", "out.mp4"]


def test_film_takes_the_style_of_a_picture_and_a_part(run, clip, sample):
    style = ("--style-image", sample, "--strength", 50)
    report = json_report(run("apply", clip, *style, "-o", "out.mkv", "--from", "0.5", "--to", "0:01", "--json"))
    assert report["frames"] == 5 and len(frames(run.folder / "out.mkv")) == 5


def test_ctrl_c_stops_the_film_and_says_how_to_continue(run, samples):
    clip = make_clip(run.folder / "clip.mp4", samples, 400)
    process = run("apply", clip, *STYLE, "-o", "out.mp4", start=True)
    shown = ""
    while not re.search(r"\b[1-9]\d*/400", shown):
        letter = process.stderr.read(1)
        assert letter, shown
        shown += letter
    process.send_signal(signal.SIGINT)
    output, _error = process.communicate(timeout=120)
    assert process.returncode == 130 and "The same command continues" in output
    assert not (run.folder / "out.mp4").exists()
    assert run("apply", clip, *STYLE, "-o", "out.mp4").returncode == 0
    assert len(frames(run.folder / "out.mp4")) == 400


def test_animation_stays_one_unless_the_output_is_a_still(run, clip):
    assert json_report(run("apply", clip, *STYLE, "-o", "a.gif", "--to", "0.5", "--json"))["frames"] == 5
    assert json_report(run("apply", "a.gif", *STYLE, "-o", "b.webp", "--json"))["frames"] == 5
    done = run("apply", "a.gif", *STYLE, "-o", "b.png")
    assert done.returncode == 0 and "the first one is used" in done.stdout
    report = json_report(run("apply", "a.gif", *STYLE, "-o", "f%02d.png", "--strength", 50, "--json"))
    assert report["frames"] == 5 and (run.folder / "f05.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("clip.mp4", "-o", "out.mp4", "--protect", "clip.mp4"), "--protect is for one photo"),
        (("f%d.png", "-o", "out.mp4"), "There are no pictures f%d.png"),
        (("clip.mp4", "-o", "out.png"), "does not have a film's"),
        (("clip.mp4", "-o", "clip.mp4"), "same file"),
        (("clip.mp4", "clip.mp4", "-o", "out.mp4"), "One film is painted at a time"),
        (("clip.mp4", "-o", "out.mp4", "--jobs", "2"), "--jobs is for many pictures"),
        (("clip.mp4", "-o", "out.mp4", "--style", "udnie", "--each"), "one style at a time"),
        (("clip.mp4", "-o", "out.mp4", "--from", "2", "--to", "1"), "give an end after the start"),
        (("clip.mp4", "-o", "out.mp4", "--from", "60"), "no frame in that part"),
        (("clip.mp4", "-o", "out.mp4", "--from", "soon"), "is not a time"),
        (("clip.mp4", "-o", "out.mp4", "--crf", "99"), "out of range"),
        (("clip.mp4", "-o", "nowhere/out.mp4"), "no folder nowhere"),
        (("nothing.mp4", "-o", "out.mp4"), "There is no film"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(run, clip, arguments, words):
    done = run("apply", *arguments, *STYLE)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in run.folder.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(("package", "words"), [("av", "pip install av"), ("cv2", "--steady 0")])
def test_missing_packages_are_named(monkeypatch, package, words):
    import importlib.util

    from nst_core.base.errors import StyleError
    from plugin.engine.film.film_settings import FilmSettings, require_packages

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(StyleError, match=words):
        require_packages(FilmSettings())
    monkeypatch.undo()
    require_packages(FilmSettings())
