from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.cli.figures.plots import check_matplotlib
from plugin.cli.figures.recording import Recording
from plugin.engine.progress import Progress


def steps(count, size=(30, 40)):
    """Yield the progress of a render with an ever brighter picture."""
    for n in range(1, count + 1):
        losses = {"content": 0.1 * n, "total": 1 / n}
        yield Progress("Painting", n / count, n, count, losses, np.full((*size, 3), n / count, np.float32))


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animation_has_every_nth_picture_and_the_last(tmp_path, suffix):
    recording = Recording(None, tmp_path / f"a{suffix}", every=4)
    for step in steps(10):
        recording.add(step)
    assert recording.write() == {"animation": str(tmp_path / f"a{suffix}")}
    with Image.open(tmp_path / f"a{suffix}") as animation:
        levels = []
        for frame in range(animation.n_frames):
            animation.seek(frame)
            levels.append(np.array(animation.convert("RGB")).mean())
        assert animation.size == (40, 30) and animation.info["loop"] == 0
    assert levels == pytest.approx([25.5, 102, 204, 255], abs=3)  # after 1, 4, 8 and 10


def test_mp4_has_the_same_pictures(tmp_path):
    av = pytest.importorskip("av")
    recording = Recording(None, tmp_path / "a.mp4", every=4)
    for step in steps(10, size=(31, 41)):
        recording.add(step)
    recording.write()
    with av.open(str(tmp_path / "a.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert float(film.duration / av.time_base) == pytest.approx(3 * 0.08 + 2, abs=0.02)
        assert film.streams.video[0].codec_context.name == "h264"
    assert frames[0].shape == (30, 40, 3)
    levels = [frame.mean() for frame in frames]
    assert levels[:4] == pytest.approx([25.5, 102, 204, 255], abs=4) and min(levels[4:]) > 250


def test_recording_counts_the_iterations_before_each_loss(tmp_path):
    recording = Recording(tmp_path / "l.csv", None, every=1)
    for step in steps(3):
        recording.add(step)
    assert recording.write() == {"losses_file": str(tmp_path / "l.csv")}
    assert (tmp_path / "l.csv").read_text() == "iteration,content,total\n0,0.1,1\n1,0.2,0.5\n2,0.3,0.333333\n"
    assert Recording(None, None, 1).write() == {}


def test_render_that_starts_again_is_recorded_once(tmp_path):
    recording = Recording(tmp_path / "l.csv", tmp_path / "a.gif", every=1)
    for step in [*steps(5), *steps(3)]:
        recording.add(step)
    recording.write()
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 1 + 3
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3


@pytest.mark.parametrize(
    ("losses", "animation", "message"),
    [
        ("l.txt", None, r"l.txt must end in .csv or .png"),
        (None, "a.avi", r"a.avi must end in .gif or .mp4 or .webp"),
        ("no/l.csv", None, "no folder no"),
        (None, "no/a.gif", "no folder no"),
    ],
)
def test_unwritable_outputs_are_refused_before_the_work(losses, animation, message):
    with pytest.raises(StyleError, match=message):
        Recording(losses and Path(losses), animation and Path(animation), 5)


def test_missing_packages_are_named_before_the_work(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StyleError, match="pip install matplotlib"):
        check_matplotlib()
    with pytest.raises(StyleError, match="pip install av"):
        Recording(None, Path("a.mp4"), 5)
