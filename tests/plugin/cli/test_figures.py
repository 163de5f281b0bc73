import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.studies.sheets import Cell, Sheet
from plugin.cli.figures import (
    Recording,
    check_matplotlib,
    write_animation,
    write_losses,
    write_sheet,
    write_table,
)
from plugin.engine.progress import Progress


def plain(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def box(page, colour):
    """Left, top, right and bottom of what has exactly this colour."""
    rows, columns = np.nonzero((page == np.array(colour, np.uint8)).all(2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_a_sheet_has_its_pictures_in_even_columns_and_no_text_over_them(tmp_path):
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200)]
    cells = [Cell(plain(50, 180, c), f"{'quite a long caption ' * 4}{number}") for number, c in enumerate(colours)]
    label = "a label of many words that go on and on, and a_word_that_is_much_wider_than_the_whole_column_is"
    rows = [(label, [*cells[:3]]), ("another", [cells[3], None, cells[4]])]
    heads = ["first", "a heading far longer than any column of this sheet is wide", "third"]
    write_sheet(Sheet("A title that is as long as the sheet is wide or longer " * 3, heads, rows), tmp_path / "s.png")
    page = np.array(Image.open(tmp_path / "s.png"))
    boxes = [box(page, colour) for colour in colours]
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (180, 50)
        assert (page[top:bottom, left:right] == page[top, left]).all()
    (a, b, c), (d, e) = boxes[:3], boxes[3:]
    assert b[0] - a[0] == c[0] - b[0] > 180 and a[1] == b[1] == c[1]
    assert d[0] == a[0] and e[0] == c[0] and d[1] == e[1] > a[3] + 50
    # Between the columns, beside the labels and at the edges nothing is written, from the first row on.
    for left, right in ((a[2], b[0]), (b[2], c[0]), (a[0] - 10, a[0]), (c[2], page.shape[1]), (0, 20)):
        assert (page[a[1] :, left:right] == 255).all()
    assert (page[-20:] == 255).all() and (page[:20] == 255).all()
    # Each picture has its caption below it, and the gap has none.
    for left, _, right, bottom in boxes:
        assert (page[bottom : bottom + 60, left:right] < 150).any()
    assert (page[d[1] : d[3] + 60, b[0] : b[2]] == 255).all()


def test_a_table_has_a_column_for_every_name(tmp_path):
    write_table([{"name": "a, b", "x": 1.0 / 3}, {"name": "c", "y": 2}], tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"name": "a, b", "x": "0.333333", "y": ""}, {"name": "c", "x": "", "y": "2"}]


def steps(count, size=(30, 40)):
    """Progress of a render whose picture grows brighter."""
    for n in range(1, count + 1):
        losses = {"content": 0.1 * n, "total": 1 / n}
        yield Progress("Painting", n / count, n, count, losses, np.full((*size, 3), n / count, np.float32))


def test_losses_as_table_and_as_plot(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{"iteration": n, "total": 1 / n, "a style": 0.0} for n in range(1, 9)]
    write_losses("Losses", rows, tmp_path / "l.csv")
    assert (tmp_path / "l.csv").read_text().splitlines()[:2] == ["iteration,total,a style", "1,1,0"]
    write_losses("Losses", rows, tmp_path / "l.png")
    write_losses("Losses", [{**row, "total": 5.0} for row in rows], tmp_path / "flat.png")
    rising = [{**row, "content": 1e-9 if row["iteration"] == 1 else 1.0} for row in rows]
    write_losses("Losses", rising, tmp_path / "rising.png")
    drawn = np.array(Image.open(tmp_path / "rising.png").convert("RGB")).astype(int)
    falls = np.nonzero((drawn[:, :650, 2] - drawn[:, :650, 0] > 60).any(1))[0]  # the first line, left of the legend
    assert np.ptp(falls) > 0.3 * len(drawn)  # and not an eighth of nine decades
    falling, flat = (np.array(Image.open(tmp_path / name).convert("RGB")).astype(int) for name in ("l.png", "flat.png"))
    assert min(falling.shape[:2]) > 400 and falling.std() > 5
    assert falling.shape == flat.shape and np.abs(falling - flat).max() > 100


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_has_every_nth_picture_and_the_last(tmp_path, suffix):
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


def test_a_film_is_an_mp4_of_the_same_pictures(tmp_path):
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


def test_pictures_of_several_sizes_get_the_last_ones(tmp_path):
    frames = [plain(60, 80, 10), plain(600, 800, 100), plain(1200, 1600, 200)]
    write_animation(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.size == (512, 384) and animation.n_frames == 3


def test_a_recording_counts_the_iterations_before_each_loss(tmp_path):
    recording = Recording(tmp_path / "l.csv", None, every=1)
    for step in steps(3):
        recording.add(step)
    assert recording.write() == {"losses_file": str(tmp_path / "l.csv")}
    assert (tmp_path / "l.csv").read_text() == "iteration,content,total\n0,0.1,1\n1,0.2,0.5\n2,0.3,0.333333\n"
    assert Recording(None, None, 1).write() == {}


def test_a_render_that_begins_again_is_recorded_once(tmp_path):
    recording = Recording(tmp_path / "l.csv", tmp_path / "a.gif", every=1)
    for step in [*steps(5), *steps(3)]:
        recording.add(step)
    recording.write()
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 1 + 3
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3


@pytest.mark.parametrize(
    ("losses", "animation", "said"),
    [
        ("l.txt", None, r"l.txt should end in .csv or .png"),
        (None, "a.avi", r"a.avi should end in .gif or .mp4 or .webp"),
        ("no/l.csv", None, "no folder no"),
        (None, "no/a.gif", "no folder no"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(losses, animation, said):
    with pytest.raises(StyleError, match=said):
        Recording(losses and Path(losses), animation and Path(animation), 5)


def test_what_is_not_installed_is_named_before_the_work(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StyleError, match="pip install matplotlib"):
        check_matplotlib()
    with pytest.raises(StyleError, match="pip install av"):
        Recording(None, Path("a.mp4"), 5)


def test_nothing_is_left_of_a_write_that_fails(tmp_path, full_disk):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    with full_disk():
        for name, write in {
            "s.png": lambda path: write_sheet(Sheet("A", ["b"], [("c", [Cell(noise)])]), path),
            "a.gif": lambda path: write_animation([noise, noise[::-1]], path),
            "t.csv": lambda path: write_table([{"a": n} for n in range(2000)], path),
        }.items():
            with pytest.raises(StyleError, match=f"{name} cannot be written"):
                write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
