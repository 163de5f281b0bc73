"""Finding every GIMP 3 and the Python that it starts, with small scripts in the place of GIMP and Python."""

from __future__ import annotations

import sys

import pytest

from plugin.engine.machine import gimps as hosts
from plugin.engine.machine import paths

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the programs are shell scripts")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """An empty machine: PATH is its folder usr/bin, and home is the user's."""
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "usr/bin"))
    return tmp_path


def make_program(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def make_gimp(folder, version="3.0.4", name="gimp-console"):
    return make_program(folder / name, f"echo 'GNU Image Manipulation Program version {version}'")


def make_python(path, version="3 13"):
    """A python3 that answers the question for its version or, without one, lacks PyGObject."""
    return make_program(path, f"echo '{version}'" if version else "exit 1")


def test_a_bare_machine_has_none(machine):
    assert hosts.find_gimps() == []


def test_the_program_its_profile_and_its_python(machine):
    console = make_gimp(machine / "usr/bin")
    python = make_python(machine / "usr/bin/python3")
    profile = machine / "home/.config/GIMP/3.0"
    assert hosts.find_gimps() == [hosts.Gimp("3.0.4", profile, console, python, (3, 13))]


def test_gimp_2_is_none(machine):
    make_gimp(machine / "usr/bin", "2.10.34")
    assert hosts.find_gimps() == []


def test_the_console_is_preferred_and_each_series_counts_once(machine):
    make_gimp(machine / "usr/bin", name="gimp")
    make_gimp(machine / "usr/bin", name="gimp-console-3.0")
    make_gimp(machine / "usr/bin", "3.2.6", "gimp-3.2")
    assert [(gimp.version, gimp.console.name) for gimp in hosts.find_gimps()] == [
        ("3.0.4", "gimp-console-3.0"),
        ("3.2.6", "gimp-3.2"),
    ]


def test_a_python_without_pygobject_is_passed_over(machine, monkeypatch):
    make_gimp(machine / "usr/bin")
    make_python(machine / "venv/bin/python3", None)
    python = make_python(machine / "usr/bin/python3", "3 12")
    monkeypatch.setenv("PATH", f"{machine}/venv/bin:{machine}/usr/bin")
    (gimp,) = hosts.find_gimps()
    assert (gimp.python, gimp.python_version) == (python, (3, 12))


def test_no_python_with_pygobject(machine):
    make_gimp(machine / "usr/bin")
    make_python(machine / "usr/bin/python3", None)
    (gimp,) = hosts.find_gimps()
    assert (gimp.python, gimp.python_version) == (None, None)


@pytest.mark.parametrize("folder", ["usr/lib/gimp/3.0", "usr/lib/x86_64-linux-gnu/gimp/3.0", "home/.config/GIMP/3.0"])
def test_an_interp_file_names_the_python(machine, folder):
    make_gimp(machine / "usr/bin")
    make_python(machine / "usr/bin/python3")
    python = make_python(machine / "opt/python3.14", "3 14")
    interpreters = machine / folder / "interpreters"
    interpreters.mkdir(parents=True)
    (interpreters / "a.interp").write_text("# python3=/comment\npython=/other\n:Python-ext:E::py::python3:\n")
    (interpreters / "b.interp").write_text(f"python3={python}\n")
    (gimp,) = hosts.find_gimps()
    assert (gimp.python, gimp.python_version) == (python, (3, 14))


def test_an_interp_file_that_names_no_program_is_passed_over(machine):
    make_gimp(machine / "usr/bin")
    python = make_python(machine / "usr/bin/python3")
    interpreters = machine / "usr/lib/gimp/3.0/interpreters"
    interpreters.mkdir(parents=True)
    (interpreters / "default.interp").write_text("python3=/gone/python3\n")
    (gimp,) = hosts.find_gimps()
    assert gimp.python == python


def test_a_profile_without_its_program(machine):
    for name in ("2.10", "3.0", "3.2", "3.0.backup"):
        (machine / "home/.config/GIMP" / name).mkdir(parents=True)
    profiles = machine / "home/.config/GIMP"
    assert hosts.find_gimps() == [hosts.Gimp("3.0", profiles / "3.0"), hosts.Gimp("3.2", profiles / "3.2")]


def test_gimp3_directory_is_the_only_profile(machine, monkeypatch):
    console = make_gimp(machine / "usr/bin")
    (machine / "home/.config/GIMP/3.0").mkdir(parents=True)
    monkeypatch.setenv("GIMP3_DIRECTORY", str(machine / "mine"))
    (gimp,) = hosts.find_gimps()
    assert (gimp.profile, gimp.console) == (machine / "mine", console)


def test_the_folders_follow_xdg(machine, monkeypatch):
    monkeypatch.delenv("NEURAL_STYLE_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "relative, so to be ignored")
    assert paths.environment_folder() == machine / "home/.local/share/neural-style/environment"
    monkeypatch.setenv("XDG_DATA_HOME", str(machine / "data"))
    assert paths.user_styles_folder() == machine / "data/neural-style/styles"
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(machine / "own"))
    assert paths.user_styles_folder() == machine / "own/styles"
