"""The command line in odd surroundings: it gives a result, or says what is wrong in one sentence."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX has byte names, limits and closed descriptors")
ROOT = Path(__file__).parents[3]
APPLY = [sys.executable, "-m", "plugin.cli", "apply", "--style", "udnie", "--device", "cpu"]


def start(command, redirections="", **environment):
    """Run a command through a shell, which can close streams."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *map(os.fsencode, command)],
        capture_output=True,
        env={name: value for name, value in variables.items() if value is not None},
        timeout=120,
    )


@pytest.fixture
def photo(tmp_path, sample):
    return shutil.copy(sample, tmp_path / "photo.jpg")


@pytest.mark.parametrize(
    "name", ["漢字 ✓.jpg".encode(), b"latin-\xe9.jpg", b"new\nline.jpg"], ids=["wide", "bytes", "line"]
)
@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONUTF8": "1"},
    ],
    ids=["cp1252", "ascii", "C", "UTF-8"],
)
def test_any_name_is_painted_on_any_terminal(tmp_path, photo, name, variables):
    source = Path(photo).rename(tmp_path / os.fsdecode(name))
    target = tmp_path / os.fsdecode(b"out-" + name + b".png")
    done = start([*APPLY, source, "-o", target, "--json"], **variables)
    assert done.returncode == 0 and not done.stderr and target.stat().st_size > 1000
    assert json.loads(done.stdout)["width"] == 451
    refused = start([*APPLY, source, "-o", target.with_suffix(".xyz")], **variables)
    assert refused.returncode == 2 and b"does not have a picture file's" in refused.stderr


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_closed_streams_do_no_harm(tmp_path, photo, redirections, more):
    done = start([*APPLY, photo, "-o", tmp_path / "out.png", *more], redirections)
    assert done.returncode == 0 and not done.stderr and (tmp_path / "out.png").stat().st_size > 1000
    assert start([*APPLY, photo, "-o", tmp_path / "out.xyz"], redirections).returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is for Linux")
@pytest.mark.parametrize("redirections", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1"])
def test_full_streams_give_one_sentence_and_exit_code_2(tmp_path, photo, redirections):
    done = start([*APPLY, photo, "-o", tmp_path / ("out.xyz" if redirections[0] == "2" else "out.png")], redirections)
    assert done.returncode == 2
    if redirections == ">/dev/full":
        sentence = "neural-style: standard output: No space left on device; fix that or choose another file.\n"
        assert done.stderr.decode() == sentence


def test_user_without_a_home_can_paint(photo):
    if os.geteuid() != 0 or not (setpriv := shutil.which("setpriv")):
        pytest.skip("only root can become another user")
    # The capability lets that user read root's Python.
    other = [setpriv, "--reuid=54321", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        done = start([*other, *APPLY, photo, "-o", f"{folder}/out.png"], HOME=None, XDG_DATA_HOME=None)
        assert done.returncode == 0 and not done.stderr and Path(folder, "out.png").exists(), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this limit")
@pytest.mark.parametrize("mebibytes", [200, 300, 400, 500, 600, 2000])
def test_address_space_limit_gives_a_result_or_a_sentence_about_memory(tmp_path, photo, mebibytes):
    limited = ["sh", "-c", f'ulimit -v {mebibytes * 1024}; exec "$@"', "sh"]
    done = start([*limited, *APPLY, photo, "-o", tmp_path / "out.png"])
    assert done.returncode == 0 if mebibytes == 2000 else done.returncode in (0, 2)
    if done.returncode:
        assert b"memory" in done.stderr and done.stderr.count(b"\n") == 1 and not (tmp_path / "out.png").exists()
