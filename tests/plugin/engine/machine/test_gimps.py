"""Finding every GIMP 3 and the Python that it starts, with small scripts in place of GIMP and Python."""

from __future__ import annotations

import sys

import pytest

from plugin.engine.machine.gimps import Gimp, find_gimps

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
    """Make a python3 that prints its version or, without one, lacks PyGObject."""
    return make_program(path, f"echo '{version}'" if version else "exit 1")


def test_no_gimp_is_found_on_a_bare_machine(machine):
    assert find_gimps() == []


def test_gimp_is_found_with_profile_and_python(machine):
    console = make_gimp(machine / "usr/bin")
    python = make_python(machine / "usr/bin/python3")
    profile = machine / "home/.config/GIMP/3.0"
    assert find_gimps() == [Gimp("3.0.4", profile, console, python, (3, 13))]


def test_gimp_2_is_ignored(machine):
    make_gimp(machine / "usr/bin", "2.10.34")
    assert find_gimps() == []


def test_console_is_preferred_and_each_series_listed_once(machine):
    make_gimp(machine / "usr/bin", name="gimp")
    make_gimp(machine / "usr/bin", name="gimp-console-3.0")
    make_gimp(machine / "usr/bin", "3.2.6", "gimp-3.2")
    assert [(gimp.version, gimp.console.name) for gimp in find_gimps()] == [
        ("3.0.4", "gimp-console-3.0"),
        ("3.2.6", "gimp-3.2"),
    ]


def test_python_without_pygobject_is_skipped(machine, monkeypatch):
    make_gimp(machine / "usr/bin")
    make_python(machine / "venv/bin/python3", None)
    python = make_python(machine / "usr/bin/python3", "3 12")
    monkeypatch.setenv("PATH", f"{machine}/venv/bin:{machine}/usr/bin")
    (gimp,) = find_gimps()
    assert (gimp.python, gimp.python_version) == (python, (3, 12))


def test_python_is_none_if_no_python_has_pygobject(machine):
    make_gimp(machine / "usr/bin")
    make_python(machine / "usr/bin/python3", None)
    (gimp,) = find_gimps()
    assert (gimp.python, gimp.python_version) == (None, None)


@pytest.mark.parametrize("folder", ["usr/lib/gimp/3.0", "usr/lib/x86_64-linux-gnu/gimp/3.0", "home/.config/GIMP/3.0"])
def test_interp_file_chooses_the_python(machine, folder):
    make_gimp(machine / "usr/bin")
    make_python(machine / "usr/bin/python3")
    python = make_python(machine / "opt/python3.14", "3 14")
    interpreters = machine / folder / "interpreters"
    interpreters.mkdir(parents=True)
    (interpreters / "a.interp").write_text("# python3=/comment\npython=/other\n:Python-ext:E::py::python3:\n")
    (interpreters / "b.interp").write_text(f"python3={python}\n")
    (gimp,) = find_gimps()
    assert (gimp.python, gimp.python_version) == (python, (3, 14))


def test_interp_file_with_a_missing_program_is_skipped(machine):
    make_gimp(machine / "usr/bin")
    python = make_python(machine / "usr/bin/python3")
    interpreters = machine / "usr/lib/gimp/3.0/interpreters"
    interpreters.mkdir(parents=True)
    (interpreters / "default.interp").write_text("python3=/gone/python3\n")
    (gimp,) = find_gimps()
    assert gimp.python == python


def test_profiles_without_program_are_listed(machine):
    for name in ("2.10", "3.0", "3.2", "3.0.backup"):
        (machine / "home/.config/GIMP" / name).mkdir(parents=True)
    profiles = machine / "home/.config/GIMP"
    assert find_gimps() == [Gimp("3.0", profiles / "3.0"), Gimp("3.2", profiles / "3.2")]


def test_gimp3_directory_is_the_only_profile(machine, monkeypatch):
    console = make_gimp(machine / "usr/bin")
    (machine / "home/.config/GIMP/3.0").mkdir(parents=True)
    monkeypatch.setenv("GIMP3_DIRECTORY", str(machine / "mine"))
    (gimp,) = find_gimps()
    assert (gimp.profile, gimp.console) == (machine / "mine", console)
