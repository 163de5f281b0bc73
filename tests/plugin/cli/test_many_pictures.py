"""``apply`` and ``render`` with many pictures, in a process of their own."""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.plugin.command_line import json_report

STYLE = ("--style", "great-wave")


@pytest.fixture
def photos(run):
    """A folder with three pictures, one in a subfolder, an empty file, and half a picture."""
    folder = run.folder / "photos"
    (folder / "sub").mkdir(parents=True)
    random = np.random.default_rng(3)
    for name in ("a.png", "b.jpg", "sub/c.JPG"):
        Image.fromarray(random.integers(0, 256, (40, 60, 3), np.uint8)).save(folder / name)
    return folder


def spoil(photos):
    """Add files that cannot be read."""
    (photos / "broken.jpg").write_bytes((photos / "b.jpg").read_bytes()[:900])
    (photos / "empty.png").touch()


def test_folder_is_painted_into_a_tree(run, photos):
    report = json_report(run("apply", "photos", *STYLE, "-o", "out", "--json"))
    assert report["painted"] == ["out/a.png", "out/b.jpg", "out/sub/c.JPG"]
    assert (report["skipped"], report["failed"], report["styles"]) == ([], [], ["great-wave"])
    single = json_report(run("apply", photos / "a.png", *STYLE, "-o", "single.png", "--json"))
    with Image.open(run.folder / "out/a.png") as one, Image.open(run.folder / single["output"]) as other:
        assert (np.array(one) == np.array(other)).all()


def test_existing_paintings_are_kept_and_the_rest_is_completed(run, photos):
    (run.folder / "out").mkdir()
    (run.folder / "out/a.png").write_bytes(b"mine")
    done = run("apply", "photos", *STYLE, "-o", "out")
    assert done.returncode == 0 and "2 painted" in done.stdout and "1 already painted" in done.stdout
    assert (run.folder / "out/a.png").read_bytes() == b"mine"
    assert "0 painted" in run("apply", "photos", *STYLE, "-o", "out").stdout
    assert "3 painted" in run("apply", "photos", *STYLE, "-o", "out", "--overwrite").stdout
    with Image.open(run.folder / "out/a.png") as image:
        assert image.size == (60, 40)


def test_unreadable_files_are_listed_with_reasons(run, photos):
    spoil(photos)
    done = run("apply", "photos", *STYLE, "-o", "out", "--failures", "failed.txt")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "3 painted" in done.stdout and "2 failed" in done.stdout
    rows = [line.split("\t") for line in (run.folder / "failed.txt").read_text().splitlines()]
    assert [row[0] for row in rows] == ["photos/broken.jpg", "photos/empty.png"]
    assert "cut off or damaged" in rows[0][1] and "is empty" in rows[1][1]
    assert all(row[1] in done.stdout for row in rows)
    assert sorted(path.name for path in (run.folder / "out").iterdir()) == ["a.png", "b.jpg", "sub"]


def test_failures_of_an_earlier_run_are_forgotten(run, photos):
    (run.folder / "failed.txt").write_text("old")
    assert run("apply", "photos", *STYLE, "-o", "out", "--failures", "failed.txt").returncode == 0
    assert (run.folder / "failed.txt").read_text() == ""


def test_each_style_is_painted_by_itself(run, photos):
    styles = ("--style", "great-wave", "--style", "udnie:0.6,starry-night:0.4", "--each")
    report = json_report(run("apply", photos / "a.png", *styles, "-o", "out", "--json"))
    assert report["painted"] == ["out/a-great-wave.png", "out/a-udnie+starry-night.png"]
    pictures = [np.array(Image.open(run.folder / path)) for path in report["painted"]]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 3


def test_styles_given_again_are_a_mixture(run, photos):
    one = json_report(run("apply", photos / "a.png", *STYLE, "--style", "udnie", "-o", "one.png", "--json"))
    other = json_report(run("apply", photos / "a.png", "--style", "great-wave,udnie", "-o", "two.png", "--json"))
    assert one["style"] == other["style"] == "great-wave:0.5,udnie:0.5"
    assert (run.folder / "one.png").read_bytes() == (run.folder / "two.png").read_bytes()


def test_name_pattern_and_jobs(run, photos):
    options = ("--name", "{style}/{stem}.png", "--jobs", 3)
    report = json_report(run("apply", photos / "a.png", photos / "b.jpg", *STYLE, "-o", "out", *options, "--json"))
    assert report["painted"] == ["out/great-wave/a.png", "out/great-wave/b.png"]


def test_shards_together_paint_every_picture_once(run, photos):
    painted = []
    for number in (1, 2):
        report = json_report(run("apply", "photos", *STYLE, "-o", "out", "--shard", f"{number}/2", "--json"))
        painted += report["painted"]
        assert report["skipped"] == []
    assert sorted(painted) == ["out/a.png", "out/b.jpg", "out/sub/c.JPG"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("photos", "-o", "out", "--shard", "2"), "write it like 2/8"),
        (("photos", "-o", "out", "--shard", "3/2"), "from 1/2 to 2/2"),
        (("photos", "-o", "photos"), "choose another folder"),
        (("photos/a.png", "photos/b.jpg", "-o", "out.png"), "named like a picture"),
        (("photos/a.png", "photos/b.jpg", "-o", "photos/a.png"), "is a file"),
        (("photos", "-o", "out", "--name", "x.png"), "would both be painted"),
        (("photos", "-o", "out", "--name", "{stem}.bmp"), "does not have a picture file's"),
        (("photos", "nothing.png", "-o", "out"), "no picture or folder nothing.png"),
        (("photos", "-o", "out", "--failures", "photos/a.png"), "same file"),
        (("photos", "-o", "out", "--failures", "nowhere/failed.txt"), "no folder nowhere"),
        (("photos", "-o", "out", "--jobs", "0"), "out of range"),
        (("photos", "-o", "out", "--device", "cuda"), "GPU cannot be used"),
        (("empty", "-o", "out"), "no pictures in empty"),
    ],
)
def test_bad_input_is_refused_before_the_work(run, photos, arguments, words):
    (run.folder / "empty").mkdir()
    done = run("apply", *arguments, *STYLE)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
    assert not (run.folder / "out").exists()


def test_names_in_latin_1_are_painted_and_listed(run, photos):
    name = os.fsdecode("é".encode("latin-1"))
    (photos / "a.png").rename(photos / f"{name}.png")
    (photos / f"{name}.jpg").touch()
    done = run("apply", "photos", *STYLE, "-o", "out", "--failures", "failed.txt", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert f"out/{name}.png" in report["painted"], report
    assert (run.folder / f"out/{name}.png").is_file()
    assert (run.folder / "failed.txt").read_bytes().startswith(b"photos/\xe9.jpg\t")


def test_interrupted_run_says_what_is_left_and_is_continued(run, photos):
    for number in range(300):
        shutil.copy(photos / "a.png", photos / f"{number}.png")
    process = run("apply", "photos", *STYLE, "-o", "out", start=True)
    while len(list((run.folder / "out").glob("*.png"))) < 5:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "are left; the same command continues" in output
    painted = {path: path.stat().st_mtime_ns for path in (run.folder / "out").rglob("*") if path.is_file()}
    assert len(painted) < 300
    assert not [path for path in painted if path.name.startswith(".")]
    report = json_report(run("apply", "photos", *STYLE, "-o", "out", "--json"))
    assert len(report["skipped"]) == len(painted) and len(report["painted"]) == 303 - len(painted)
    assert all(path.stat().st_mtime_ns == before for path, before in painted.items())


def test_killed_runs_leave_whole_pictures(run, photos):
    for number in range(60):
        shutil.copy(photos / "a.png", photos / f"{number}.png")
    random = np.random.default_rng(11)
    for _attempt in range(5):
        process = run("apply", "photos", *STYLE, "-o", "out", start=True)
        time.sleep(1.0 + random.random())
        process.kill()
        process.wait()
    report = json_report(run("apply", "photos", *STYLE, "-o", "out", "--json"))
    assert len(report["painted"]) + len(report["skipped"]) == 63
    files = [path for path in (run.folder / "out").rglob("*") if path.is_file()]
    assert len(files) == 63
    for path in files:
        with Image.open(path) as image:
            assert np.array(image).shape == (40, 60, 3)


def test_render_takes_many(run, photos, slim_weights):
    spoil(photos)
    style = ("--style-image", photos / "a.png", "--features", slim_weights, "--size", 64, "--iterations", 2)
    done = run("render", "photos", *style, "-o", "out", "--name", "{stem}-{style}.png", "--failures", "failed.txt")
    assert done.returncode == 1, done.stderr
    painted = sorted(path.name for path in (run.folder / "out").rglob("*.png"))
    assert painted == ["a-a.png", "b-a.png", "c-a.png"]
    assert "3 painted" in done.stdout and "2 failed" in done.stdout
    for option in (("--losses", "losses.csv"), ("--checkpoint-every", 1)):
        refused = run("render", "photos", *style, "-o", "out", *option)
        assert refused.returncode == 2 and "is for one photo" in refused.stderr


def test_any_picture_is_a_style_for_many(run, photos, sample):
    options = ("--style-image", sample, "--style-image", photos / "sub/c.JPG", "--each", "--json")
    report = json_report(run("apply", photos / "a.png", *options, "-o", "out"))
    assert report["painted"] == ["out/a-chelsea.png", "out/a-c.png"]
    (run.folder / "same").mkdir()
    shutil.copy(sample, run.folder / "same/a.png")
    refused = run(
        "apply", photos / "a.png", "--style-image", "same/a.png", "-o", "same", "--overwrite", "--name", "{stem}.{ext}"
    )
    assert refused.returncode == 2 and "choose another folder" in refused.stderr


@pytest.fixture
def many(run):
    """A folder with 2 000 small pictures."""
    folder = run.folder / "many"
    folder.mkdir()
    random = np.random.default_rng(5)
    for number in range(2000):
        height, width = random.integers(24, 65, 2)
        Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"{number:04}.png")
    return folder


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_stays_flat_over_2000_pictures(run, many, record_property):
    process = run("apply", "many", *STYLE, "-o", "out", start=True)
    status, sizes = Path(f"/proc/{process.pid}/status"), {}
    while process.poll() is None:
        painted = len(list((run.folder / "out").glob("*.png")))
        with contextlib.suppress(OSError, IndexError):  # the process may have ended
            sizes[painted] = int(status.read_text().split("VmRSS:")[1].split()[0]) / 2**10
        time.sleep(0.2)
    assert process.returncode == 0 and len(list((run.folder / "out").iterdir())) == 2000
    second, last = (np.median([mib for n, mib in sizes.items() if low <= n < low + 200]) for low in (200, 1800))
    record_property("memory", f"{second:.1f} MiB in the second tenth, {last:.1f} MiB in the last")
    assert last <= 1.05 * second


@pytest.mark.slow
@pytest.mark.nightly
def test_killed_20_times_the_folder_is_completed_and_no_painting_is_damaged(run, many, record_property):
    random, out, painted = np.random.default_rng(7), run.folder / "out", {}
    for _ in range(20):
        process = run("apply", "many", *STYLE, "-o", "out", start=True)
        while process.poll() is None and len(list(out.glob("[0-9]*.png"))) == len(painted):
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1))
        process.kill()
        process.communicate()
        assert process.returncode != 0, f"complete with {len(painted)} painted before"
        for path in out.glob("[0-9]*.png"):
            with Image.open(path) as image:
                image.load()
            painted.setdefault(path.name, path.stat().st_mtime_ns)
    assert len(painted) >= 20
    record_property("kills", f"{len(painted)} of 2000 painted after 20 kills")
    process = run("apply", "many", *STYLE, "-o", "out", "--json", start=True)
    report = json.loads(process.communicate(timeout=1800)[0])
    assert len(report["skipped"]) == len(painted) and len(report["painted"]) == 2000 - len(painted)
    assert all((out / name).stat().st_mtime_ns == moment for name, moment in painted.items())
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in many.iterdir())
