"""Style files that an attacker could send are painted or refused at once, and hide no other style."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from plugin.engine.fast.style_library import read_library
from plugin.engine.machine import paths
from tests.hostile_styles import HOSTILE
from tests.style_files import style_with_metadata

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the limits and counts them like this"),
]
MOST_SECONDS = 10  # of CPU time, because another program may keep the CPU busy
MOST_MEMORY = 1 << 20  # kB
SIZE = (150, 100)
# Run a command, and print its exit code, its CPU seconds, and the most memory that it and its trial took, in kB.
# A process of its own does it, because a process begins with the peak of the one that starts it.
MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


@pytest.fixture(scope="module")
def photo(samples, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    with Image.open(samples / "chelsea.jpg") as image:
        image.resize(SIZE).save(path)
    return path


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_style_is_painted_or_refused(tmp_path, photo, record_property, case):
    style, painted = tmp_path / "x.onnx", tmp_path / "o.png"
    HOSTILE[case](style)
    environment = os.environ | {"NEURAL_STYLE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "plugin.cli", "apply", photo, "--style", style, "-o", painted, "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], env=environment, capture_output=True, text=True)
    numbers, text = done.stdout.split(), done.stderr
    code, seconds, memory = int(numbers[0]), float(numbers[1]), int(numbers[2])
    record_property("seconds", round(seconds, 2))
    record_property("MiB", memory >> 10)
    assert code in (0, 2), text
    if code == 2:
        assert text.startswith("neural-style: ") and text.count("\n") == 1 and "\x1b" not in text
        assert not painted.exists()
    else:
        with Image.open(painted) as image:
            assert image.size == SIZE
    assert seconds < MOST_SECONDS and memory < MOST_MEMORY
    assert {path.name for path in tmp_path.iterdir()} <= {"x.onnx", "o.png", "home"}


def test_hostile_styles_delay_the_list_by_less_than_a_second_and_hide_no_style(tmp_path, monkeypatch, record_property):
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path))
    folder = paths.user_styles_folder()
    folder.mkdir(parents=True)
    bundled = read_library().styles.keys()
    for number, write in enumerate(HOSTILE.values()):
        write(folder / f"{number:03}.onnx")
    os.mkfifo(folder / "pipe.onnx")
    (folder / "device.onnx").symlink_to("/dev/zero")
    (folder / "loop.onnx").symlink_to("loop.onnx")
    (folder / "folder.onnx").mkdir()
    style_with_metadata(folder / "zzz.onnx", {"name": "good", "title": "Good"})
    start = time.process_time()
    library = read_library()
    seconds = time.process_time() - start
    record_property("seconds", round(seconds, 3))
    assert seconds < 1 and {*bundled, "good"} <= library.styles.keys()
    assert len(library.left_out) >= 20 and all("\n" not in reason for reason in library.left_out)
