"""install.py: its parts in a home folder of their own, and the whole of it for real."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import install
from plugin.engine.machine import paths
from plugin.engine.machine.gimps import Gimp

SCRIPT = Path(install.__file__)
STATE = {"python": "3.13", "runtime": "cpu", "extras": [], "version": "0.1.0"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks for programs where POSIX systems have them")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Make an empty home folder."""
    for name in ("GIMP3_DIRECTORY", "NEURAL_STYLE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # The command must not be linked outside the test's home.
    folders = [entry for entry in os.environ["PATH"].split(os.pathsep) if entry != "/usr/local/bin"]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def environment(home):
    """Make a folder that looks like a finished environment."""
    folder = paths.environment_folder()
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    install.write_state(STATE)
    return folder


def run_installer(*arguments, cwd=None):
    """Run install.py as a user does."""
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL)


def script(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_where_prints_the_folder_before_it_exists(home):
    done = run_installer("where")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()) == paths.environment_folder()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("arguments", [["everything"], ["where", "--loudly"]])
def test_unknown_arguments_are_refused(home, arguments):
    done = run_installer(*arguments)
    assert done.returncode == 2
    assert arguments[-1] in done.stderr
    assert "Traceback" not in done.stderr


def test_old_python_is_refused(home, monkeypatch, capsys):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 2))
    assert install.main([]) == 2
    assert "needs Python 3.11" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_folder_that_cannot_be_made_is_one_sentence(home, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "file"))
    done = run_installer()
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_filter_is_registered_whole(home):
    profile = home / "GIMP/3.0"
    install.register(profile, STATE)
    target = profile / "plug-ins/neural-style"
    source = SCRIPT.parent / "plugin/gimp/neural-style"
    expected = {path.relative_to(source) for path in source.rglob("*") if "__pycache__" not in path.parts}
    assert {path.relative_to(target) for path in target.rglob("*")} == expected | {Path("installation.json")}
    assert os.access(target / "neural-style.py", os.X_OK)
    assert json.loads((target / "installation.json").read_text()) == {
        "environment": str(paths.environment_folder()),
        "python": "3.13",
        "program": str(paths.environment_folder() / "bin/python"),
        "site_packages": str(paths.environment_folder() / "lib/python3.13/site-packages"),
        "version": "0.1.0",
    }
    assert list((profile / "plug-ins").iterdir()) == [target]


def test_registering_again_replaces_the_filter_and_makes_gimp_query_it(home):
    target = home / "profile/plug-ins/neural-style"
    install.register(home / "profile", STATE)
    (target / "of-an-older-version.py").write_text("")
    os.utime(target / "neural-style.py", (0, 0))
    install.register(home / "profile", STATE)
    assert not (target / "of-an-older-version.py").exists()
    assert (target / "neural-style.py").stat().st_mtime > SCRIPT.stat().st_mtime
    assert list(target.parent.iterdir()) == [target]


def test_failed_registration_leaves_the_old_filter(home, tmp_path, monkeypatch):
    install.register(home / "profile", STATE)
    plug_ins = home / "profile/plug-ins"
    before = sorted(plug_ins.rglob("*"))
    folder = tmp_path / "checkout/plugin/gimp/neural-style"
    folder.mkdir(parents=True)
    (folder / "dialog.py").write_text("")  # but no main file
    monkeypatch.setattr(install, "CHECKOUT", tmp_path / "checkout")
    with pytest.raises(FileNotFoundError):
        install.register(home / "profile", STATE)
    assert sorted(plug_ins.rglob("*")) == before


def test_linked_checkout_is_replaced_but_not_changed(home, tmp_path):
    plug_ins = home / "profile/plug-ins"
    plug_ins.mkdir(parents=True)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/neural-style.py").write_text("mine")
    (plug_ins / "neural-style").symlink_to(tmp_path / "work")
    install.register(home / "profile", STATE)
    assert not (plug_ins / "neural-style").is_symlink()
    assert (tmp_path / "work/neural-style.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("gimp", "remark"),
    [
        (Gimp("3.0.4", Path("3.0"), Path("gimp"), Path("python3"), (3, 13)), "Filters > Artistic"),
        (Gimp("3.2.6", Path("3.2"), Path("gimp"), Path("python3"), (3, 14)), "in a process of Python 3.13"),
        (Gimp("3.0", Path("3.0")), "unless it is a Flatpak"),
    ],
)
def test_remark_says_where_the_filter_works(home, gimp, remark, monkeypatch, capsys):
    monkeypatch.chdir(home)
    gimp.profile.mkdir()
    install.register_everywhere([gimp], STATE)
    assert remark in capsys.readouterr().out
    assert (gimp.profile / "plug-ins/neural-style/neural-style.py").is_file()


def test_unwritable_profile_does_not_stop_the_others(home, tmp_path, capsys):
    (tmp_path / "file").write_text("no folder can be made in a file")
    first, second = Gimp("3.0", tmp_path / "file" / "3.0"), Gimp("3.2", tmp_path / "GIMP" / "3.2")
    assert install.register_everywhere([first, second], STATE) == [second]
    said = capsys.readouterr().out
    assert f"GIMP 3.0: not installed ({tmp_path / 'file' / '3.0'}" in said and "Errno" not in said
    assert (second.profile / "plug-ins/neural-style/neural-style.py").exists()


def test_installation_without_any_filter_fails(environment, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder can be made in a file")
    monkeypatch.setattr(install, "find_gimps", lambda: [Gimp("3.0", tmp_path / "file" / "3.0")])
    monkeypatch.setattr(install, "choose_python", lambda gimps: (Path(sys.executable), STATE["python"], "for the test"))
    monkeypatch.setattr(install, "loads", lambda extras: True)
    monkeypatch.setattr(install, "install_fast_way", lambda project, state: None)
    assert install.main([]) == 2
    printed = capsys.readouterr()
    assert "no GIMP has the filter" in printed.err and len(printed.err.splitlines()) == 1
    assert "not installed" in printed.out and (install.link_folders()[0] / "neural-style").is_symlink()


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "free some disk space"), (errno.EACCES, "make that writable")]
)
def test_refusal_of_the_system_is_put_into_words(environment, monkeypatch, capsys, code, words):
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code), Path("/some/folder"))

    monkeypatch.setattr(install, "install", refuse)
    assert install.main([]) == 2
    printed = capsys.readouterr().err
    assert printed == f"install.py: /some/folder: {os.strerror(code)}; {words} and run this again.\n"


def test_gimp_makes_its_own_profile_before_the_filter_is_copied(home, tmp_path):
    """What it brings along from an older version it only brings into a profile that is not there yet."""
    profile, console = tmp_path / "GIMP" / "3.0", tmp_path / "gimp-console"
    console.write_text(f"#!/bin/sh\nmkdir -p {profile}\ntouch {profile}/made-by-gimp\n")
    console.chmod(0o755)
    paths.data_folder().mkdir(parents=True)
    install.register_everywhere([Gimp("3.0.4", profile, console)], STATE)
    assert (profile / "made-by-gimp").exists() and (profile / "plug-ins/neural-style").is_dir()


def test_command_is_linked_in_a_folder_of_path(home, monkeypatch, capsys):
    own = home / "bin"
    own.mkdir()
    monkeypatch.setenv("PATH", f"/usr/bin:{own}")
    install.link_command()
    assert (own / "neural-style").is_symlink() and "not on your PATH" not in capsys.readouterr().out


def test_environment_has_the_python_of_gimp():
    lacks_pygobject = Gimp("3.0.4", Path("a"), Path("gimp"))
    gimp = Gimp("3.2.6", Path("b"), Path("gimp"), Path("/usr/bin/python3.14"), (3, 14))
    assert install.choose_python([lacks_pygobject, gimp])[:2] == (Path("/usr/bin/python3.14"), "3.14")


def test_environment_without_gimp_has_the_running_python():
    python, version, _ = install.choose_python([])
    assert version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    # Not the Python of a virtual environment, which may vanish.
    code = "import sys; assert sys.prefix == sys.base_prefix"
    assert subprocess.run([python, "-I", "-c", code]).returncode == 0


def test_gimp_with_an_old_python_is_ignored():
    gimp = Gimp("3.0.4", Path("a"), Path("gimp"), Path("/usr/bin/python3.10"), (3, 10))
    assert install.choose_python([gimp]) == install.choose_python([])


def test_python_without_venv_names_the_package(environment, tmp_path):
    python = script(tmp_path / "python3", "exit 1")
    with pytest.raises(install.InstallError, match=r"apt install python3\.13-venv"):
        install.make_environment(python, "3.13")
    assert install.read_state() == STATE  # what was there is not touched


def test_environment_for_another_python_is_made_again(environment, monkeypatch):
    def make(python, version):
        raise install.InstallError(f"made again for {version}")

    monkeypatch.setattr(install, "make_environment", make)
    monkeypatch.setattr(install, "loads", lambda extras: True)
    gimp = Gimp("3.2.6", Path("3.2"), Path("gimp"), Path("/usr/bin/python3.14"), (3, 14))
    monkeypatch.setattr(install, "find_gimps", lambda: [gimp])
    with pytest.raises(install.InstallError, match=r"made again for 3\.14"):
        install.install(set())


@pytest.mark.parametrize("content", ["", "[]", '{"python": "3.13"}'])
def test_damaged_state_is_read_as_empty(environment, content):
    (environment / "installed.json").write_text(content)
    assert install.read_state()["python"] is None


def test_failed_command_is_one_sentence_with_the_log(home):
    paths.data_folder().mkdir(parents=True)
    code = "print('ERROR: No space left on device'); print('more'); raise SystemExit(1)"
    with pytest.raises(install.InstallError) as error:
        install.run("installing", sys.executable, "-c", code)
    assert str(error.value) == f"installing failed: No space left on device (full output: {install.log_file()})"
    assert "more" in install.log_file().read_text()


def test_python_variables_do_not_leak_into_commands(home, monkeypatch):
    paths.data_folder().mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    install.run("looking", sys.executable, "-c", "import sys; assert '/elsewhere' not in sys.path")


def test_command_is_linked_again_but_another_program_stays(home, capsys):
    link = home / ".local/bin/neural-style"
    install.link_command()
    install.link_command()
    assert link.readlink() == paths.environment_folder() / "bin/neural-style"
    assert "not on your PATH" in capsys.readouterr().out
    link.unlink()
    link.write_text("another program")
    install.link_command()
    assert link.read_text() == "another program"
    assert "stays" in capsys.readouterr().out


def test_uninstall_keeps_own_styles_and_other_plug_ins(home, environment):
    profiles = [home / ".config/GIMP/3.0", home / ".config/GIMP/3.2"]
    for profile in profiles:
        install.register(profile, STATE)
        (profile / "plug-ins/other").mkdir()
        (profile / "neural-style.log").write_text("")
        (profile / "plug-in-settings").mkdir()
        for name in ("-neural-style.last", "-neural-style-again.last", "-neural-style.settings", "-neuralize.last"):
            (profile / "plug-in-settings" / f"GimpProcedureConfigRun-plug-in{name}").write_text("")
    install.link_command()
    paths.user_styles_folder().mkdir()
    (paths.user_styles_folder() / "mine.onnx").write_text("")
    done = run_installer("uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(paths.user_styles_folder()) in done.stdout
    assert [path.name for profile in profiles for path in (profile / "plug-ins").iterdir()] == ["other", "other"]
    assert not any((profile / "neural-style.log").exists() for profile in profiles)
    kept = ["GimpProcedureConfigRun-plug-in-neuralize.last"] * 2
    assert [path.name for profile in profiles for path in (profile / "plug-in-settings").iterdir()] == kept
    assert list((home / ".local/bin").iterdir()) == []
    assert [path.name for path in paths.data_folder().rglob("*")] == ["styles", "mine.onnx"]
    assert run_installer("uninstall").returncode == 0


def test_uninstall_goes_on_after_what_it_cannot_remove(home, environment, monkeypatch, capsys):
    profiles = [home / ".config/GIMP/3.0", home / ".config/GIMP/3.2"]
    for profile in profiles:
        install.register(profile, STATE)
    remove, locked = shutil.rmtree, profiles[0] / "plug-ins/neural-style"

    def refuse(path: Path) -> None:
        if path == locked:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path / "gui")
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    assert install.main(["uninstall"]) == 2
    printed = capsys.readouterr().err
    assert str(locked) in printed and "could not be removed" in printed and "PosixPath" not in printed
    assert locked.exists() and not (profiles[1] / "plug-ins/neural-style").exists() and not environment.exists()


def test_environment_keeps_its_python_when_python3_becomes_another(tmp_path):
    for name in ("python3.13", "python3.14"):
        script(tmp_path / name)
    (tmp_path / "python3").symlink_to("python3.13")
    assert install.versioned(tmp_path / "python3", "3.13") == tmp_path / "python3.13"
    assert install.versioned(tmp_path / "python3", "3.14") == tmp_path / "python3"
    assert install.versioned(tmp_path / "python3.14", "3.15") == tmp_path / "python3.14"


def test_folder_that_is_not_an_environment_is_not_removed(home):
    paths.environment_folder().mkdir(parents=True)
    (paths.environment_folder() / "thesis.txt").write_text("")
    done = run_installer("uninstall")
    assert done.returncode == 2
    assert (paths.environment_folder() / "thesis.txt").exists()


def test_ctrl_c_stops_the_installation(home):
    process = subprocess.Popen(
        [sys.executable, SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, this test among them, may have been started deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stdout:
        if line.startswith("Fetching"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run it again" in errors
    assert install.read_state()["python"] is None
    assert list(home.rglob("plug-ins")) == []


@pytest.mark.slow
def test_full_installation(home, tmp_path):
    (home / ".config/GIMP/3.0").mkdir(parents=True)
    first = run_installer("demo", cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    picture = tmp_path / "neural-style-demo.png"
    assert str(picture) in first.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    command = home / ".local/bin/neural-style"
    assert "great-wave" in subprocess.run([command, "styles"], capture_output=True, text=True).stdout
    assert (home / ".config/GIMP/3.0/plug-ins/neural-style/installation.json").is_file()

    # A second run leaves a sound environment as it is.
    marker = paths.environment_folder() / "marker"
    marker.write_text("")
    assert run_installer().returncode == 0
    assert marker.exists()

    # A damaged one is made anew.
    (install.site_packages(install.read_state()["python"]) / "numpy/__init__.py").unlink()
    assert run_installer().returncode == 0
    assert not marker.exists()
    assert subprocess.run([command, "styles"], capture_output=True).returncode == 0


def stand_in_wheel(folder: Path, name: str) -> None:
    """Write a wheel of a package that has the name of a real one, and only says so."""
    info = f"{name}-2.9.dist-info"
    with zipfile.ZipFile(folder / f"{name}-2.9-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"STAND_IN = {name!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.9\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_torch_is_added_by_the_installers_copy(home, tmp_path, monkeypatch, capsys):
    """The packages are stand-ins from a local folder, so nothing is fetched."""
    subprocess.run([sys.executable, "-m", "venv", paths.environment_folder()], check=True)
    install.write_state(STATE)
    install.keep_installer()
    copied = paths.installer_folder()
    assert {path.name for path in copied.iterdir()} == {"install.py", "pyproject.toml"}
    monkeypatch.setattr(install, "CHECKOUT", copied)
    monkeypatch.setattr(install, "loads", lambda extras: True)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("torch", "torchvision", "h5py", "onnxscript", "safetensors", "scipy"):
        stand_in_wheel(wheels, name)
    # The machine's own settings of pip may limit versions.
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    assert install.main(["add-torch"]) == 0
    printed = capsys.readouterr().out
    assert "Fetching PyTorch" in printed and "Successfully installed" in printed
    assert install.read_state()["extras"] == ["torch"]
    code = "import torch; print(torch.STAND_IN)"
    answer = subprocess.run([install.program("python"), "-I", "-c", code], capture_output=True, text=True)
    assert answer.stdout == "torch\n"


def test_torch_is_not_added_to_nothing(home, capsys):
    assert install.main(["add-torch"]) == 2
    assert "not installed or damaged" in capsys.readouterr().err
