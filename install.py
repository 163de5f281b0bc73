#!/usr/bin/env python3
"""Set up Neural Style: a private environment, the filter in every GIMP 3 profile, and the command `neural-style`.

  python3 install.py              install fast painting: in trained styles, without PyTorch
  python3 install.py demo         install the same, then paint a sample photo
  python3 install.py torch        add PyTorch: refine paintings in the style of any picture, and train styles
  python3 install.py add-torch    add PyTorch to what is installed, while GIMP is running, and report the progress
  python3 install.py test [...]   add what the tests need and run them ([...] goes to pytest)
  python3 install.py where        print the folder of the private environment
  python3 install.py uninstall    remove everything except your own styles

Running it again is quick, and repairs what is broken.
"""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from plugin.engine.machine import paths
from plugin.engine.machine.gimps import Gimp, find_gimps
from plugin.engine.machine.nvidia import nvidia_driver

CHECKOUT = Path(__file__).resolve().parent
PACKAGES = ("plugin", "nst_core", "export")
NAME = "neural-style"
OLDEST_PYTHON = (3, 11)
PYTORCH_CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
OLDEST_PIP_WITH_PROGRESS = (24, 1)
WINDOWS = sys.platform == "win32"


class InstallError(Exception):
    """A reason to stop the installation. The text is one sentence: what is wrong and what to do."""


def main(arguments: list[str]) -> int:
    """Run a command.

    Returns the exit code: 0 if it succeeded, 2 after an error, 130 if Ctrl-C stopped it, and pytest's own for `test`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal may not be able to show the name of a folder
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ("install", "demo", "torch", "add-torch", "test", "where", "uninstall")
    parser.add_argument("command", nargs="?", default="install", choices=commands, metavar="COMMAND")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise InstallError(
                f"Neural Style needs Python 3.11 or newer, and this is {platform.python_version()}; use a newer one."
            )
        if options.command == "where":
            print(paths.environment_folder())
        elif options.command == "uninstall":
            uninstall()
        elif options.command == "add-torch":
            add_torch()
        elif options.command == "test":
            return run_tests(install({"torch", "test"}), rest)
        elif options.command == "demo":
            install(set())
            return paint_sample()
        else:
            install({"torch"} if options.command == "torch" else set())
    except InstallError as error:
        print(f"install.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"install.py: {describe(error)}; {remedy(error)} and run this again.", file=sys.stderr)
        return 2
    except RuntimeError as error:  # the user has no home folder
        print(f"install.py: {error}; set HOME and run this again.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninstall.py: stopped; run it again to continue.", file=sys.stderr)
        return 130
    return 0


def install(extras: set[str]) -> list[Gimp]:
    """Install fast painting, the filter and the command, then `extras` ("torch", "test"). Returns the GIMPs found.

    Extras that an earlier run installed are kept, even if the environment has to be made again. Raises InstallError if
    something cannot be installed, or in the end if the filter could not be copied into any GIMP's profile.
    """
    gimps = find_gimps()
    python, version, origin = choose_python(gimps)
    state = read_state()
    all_extras = extras | set(state["extras"])
    paths.data_folder().mkdir(parents=True, exist_ok=True)
    log_file().unlink(missing_ok=True)

    say(f"Environment: {paths.environment_folder()} (Python {version}, {origin})")
    if state["python"] != version or not loads(state["extras"]):
        if paths.environment_folder().exists():
            say("It is unfinished or damaged, or has another Python, so it is made again")
        make_environment(python, version)
        state = {"python": version, "runtime": None, "extras": []}
    project = read_project()
    state["version"] = project["project"]["version"]
    install_fast_way(project, state)
    in_gimp = register_everywhere(gimps, state)
    link_command()
    for extra in ("torch", "test"):
        if extra in all_extras:
            install_extra(extra, project["project"]["optional-dependencies"][extra], state)
    if gimps and not in_gimp:
        raise InstallError(
            "no GIMP has the filter (the reasons are above), only the command is installed; remove the cause and run "
            "this again."
        )
    return gimps


def add_torch() -> None:
    """Add PyTorch to the environment and nothing else, because the filter may be running. Say what pip says.

    Raises InstallError if nothing is installed yet or PyTorch cannot be installed.
    """
    state = read_state()
    if state["python"] is None or not loads([]):
        raise InstallError("Neural Style is not installed or damaged; run install.py without a command first.")
    install_extra("torch", read_project()["project"]["optional-dependencies"]["torch"], state, shown=True)


def choose_python(gimps: list[Gimp]) -> tuple[Path, str, str]:
    """Return the Python for the environment, its version such as "3.13", and where it comes from.

    It is GIMP's Python if possible: compiled packages fit one Python version only, and the engine runs inside the
    interpreter that GIMP starts if they fit it.
    """
    for gimp in gimps:
        if gimp.python and gimp.python_version and gimp.python_version >= OLDEST_PYTHON:
            version = ".".join(map(str, gimp.python_version))
            return versioned(gimp.python, version), version, f"as GIMP {gimp.version}"
    # If a virtual environment runs this, it may be deleted later; the Python it was made from stays.
    python, version = Path(getattr(sys, "_base_executable", sys.executable)), "{}.{}".format(*sys.version_info)
    return versioned(python, version), version, "as the one running this"


def versioned(python: Path, version: str) -> Path:
    """Return the same Python by a name with its version, if it has one in the same folder.

    The environment must not change its Python when a system update makes `python3` another one.
    """
    candidate = python.with_name(f"python{version}")
    return candidate if candidate.exists() and candidate.samefile(python) else python


def make_environment(python: Path, version: str) -> None:
    """Replace the environment with an empty one. Raises InstallError if that Python cannot make environments."""
    if subprocess.run([python, "-I", "-c", "import ensurepip, venv"], capture_output=True).returncode:
        raise InstallError(
            f"{python} lacks the modules to make environments; install them (on Debian and Ubuntu: "
            f"apt install python{version}-venv) and run this again."
        )
    remove_environment()
    run("making the environment", python, "-I", "-m", "venv", paths.environment_folder())


def install_fast_way(project: dict[str, Any], state: dict[str, Any]) -> None:
    """Install the project and all it needs except PyTorch, and check that it loads."""
    runtime, size = ("gpu", "about 1.6 GB with the CUDA libraries") if use_gpu() else ("cpu", "about 70 MB")
    if state["runtime"] is None:
        say(f"Fetching ONNX Runtime and the picture libraries ({size})")
    elif state["runtime"] != runtime:
        # The two packages share a folder: removing one after installing the other would break both.
        run("removing the other ONNX Runtime", *pip("uninstall", "--yes", "onnxruntime", "onnxruntime-gpu"))
    needs = project["project"]["dependencies"] + project["project"]["optional-dependencies"][runtime]
    run("installing ONNX Runtime", *pip("install", *project["build-system"]["requires"], *needs))
    with tempfile.TemporaryDirectory() as scratch:
        # Building leaves files beside the sources, so build a copy and keep the user's checkout clean.
        for file in ("pyproject.toml", "LICENSE"):
            shutil.copy(CHECKOUT / file, scratch)
        for package in PACKAGES:
            shutil.copytree(CHECKOUT / package, Path(scratch, package), ignore=shutil.ignore_patterns("__pycache__"))
        options = ("--no-deps", "--no-build-isolation", "--force-reinstall")
        run("installing Neural Style", *pip("install", *options, scratch))
    if not loads([]):
        raise InstallError(f"Neural Style was installed but does not load; see {log_file()}.")
    state["runtime"] = runtime
    keep_installer()
    write_state(state)


def keep_installer() -> None:
    """Copy this script into the environment, so the filter can run it when the checkout is gone."""
    folder = paths.installer_folder()
    folder.mkdir(exist_ok=True)
    for file in (Path(__file__).name, "pyproject.toml"):
        if (CHECKOUT / file).resolve() != (folder / file).resolve():
            shutil.copy(CHECKOUT / file, folder)


def install_extra(extra: str, needs: list[str], state: dict[str, Any], shown: bool = False) -> None:
    """Add PyTorch ("torch") or the packages for the tests ("test") to the environment.

    ``shown`` is as in ``run``.
    """
    new, options = extra not in state["extras"], progress_options() if shown else []
    if extra == "torch" and sys.platform == "linux" and not use_gpu():
        if new:
            say("Fetching PyTorch for the CPU (about 200 MB)")
        pytorch = [need for need in needs if re.match(r"torch(vision)?\b", need)]
        source = ("--index-url", PYTORCH_CPU_WHEELS, "--retries", "1", "--timeout", "15")
        try:
            run(
                "installing PyTorch for the CPU",
                *pip("install", *options, *source, *pytorch),
                shown=shown,
            )
        except InstallError:
            say(f"{PYTORCH_CPU_WHEELS} does not answer, so PyTorch is fetched with its CUDA libraries (about 3 GB)")
    elif new:
        say("Fetching PyTorch" if extra == "torch" else "Fetching the packages for the tests (about 140 MB)")
    run(f"installing the extra {extra!r}", *pip("install", *options, *needs), shown=shown)
    if not loads([extra]):
        raise InstallError(f"The extra {extra!r} was installed but does not load; see {log_file()}.")
    state["extras"] = sorted({*state["extras"], extra})
    write_state(state)


def register_everywhere(gimps: list[Gimp], state: dict[str, Any]) -> list[Gimp]:
    """Copy the filter into the profile of every GIMP, and say where it will work. Returns the GIMPs that have it."""
    if not gimps:
        say("No GIMP 3 was found, so only the command is installed; run this again after installing GIMP")
    registered = []
    for gimp in gimps:
        try:
            if gimp.console and not gimp.profile.exists():
                # GIMP takes over the settings of an older version only if the profile does not exist yet.
                run(f"starting GIMP {gimp.version} for the first time", gimp.console, "--no-interface", "--quit")
            register(gimp.profile, state)
        except OSError as error:
            say(f"Filter in GIMP {gimp.version}: not installed ({describe(error)}); {remedy(error)} and run this again")
            continue
        except InstallError as error:
            say(f"Filter in GIMP {gimp.version}: not installed ({error})")
            continue
        registered.append(gimp)
        place = "Filters > Artistic > Neural Style, after GIMP's next start"
        if gimp.python_version and ".".join(map(str, gimp.python_version)) == state["python"]:
            remark = place
        elif gimp.python_version or sys.platform != "linux":
            remark = f"{place}, with its engine in a process of Python {state['python']}"
        elif gimp.console:
            remark = "it cannot start without a Python with PyGObject (on Debian and Ubuntu: apt install python3-gi)"
        else:
            remark = f"{place}, unless it is a Flatpak, which cannot start the engine"
        say(f"Filter in GIMP {gimp.version}: {remark}")
    return registered


def register(profile: Path, state: dict[str, Any]) -> None:
    """Copy the filter into a profile, whole or not at all, in place of an older one."""
    plug_ins = profile / "plug-ins"
    plug_ins.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=plug_ins) as scratch:
        fresh, old, target = Path(scratch, "fresh"), Path(scratch, "old"), plug_ins / NAME
        # The copies get new times: GIMP queries a filter again only if its main file has changed.
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / "plugin/gimp" / NAME, fresh, copy_function=shutil.copy, ignore=ignore)
        (fresh / f"{NAME}.py").chmod(0o755)
        record = {
            "environment": str(paths.environment_folder()),
            "python": state["python"],
            "program": str(program("python")),
            "site_packages": str(site_packages(state["python"])),
            "version": state["version"],
        }
        (fresh / "installation.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        if target.exists() or target.is_symlink():
            target.rename(old)
        fresh.rename(target)


def link_command() -> None:
    """Link `neural-style` in a folder of the user's PATH, unless another program has that name there."""
    command = program(NAME)
    if WINDOWS:
        say(f"Command: {command}")
        return
    on_path = [folder for folder in link_folders() if str(folder) in os.environ.get("PATH", "").split(os.pathsep)]
    link = next((folder for folder in on_path if os.access(folder, os.W_OK)), link_folders()[0]) / NAME
    ours = link.is_symlink() and link.readlink().parts[-3:] == command.parts[-3:]
    if not ours and (link.exists() or link.is_symlink()):
        say(f"Command: {command} ({link} is another program, so it stays)")
        return
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".{NAME}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(command)
        fresh.replace(link)
    except OSError as error:
        say(f"Command: {command} (it could not be linked: {describe(error)})")
        return
    say(f"Command: {NAME if link.parent in on_path else f'{link} (its folder is not on your PATH)'}")


def link_folders() -> list[Path]:
    """List the folders where the command may be linked, best first."""
    return [Path.home() / ".local/bin", Path.home() / "bin", Path("/usr/local/bin")]


def paint_sample() -> int:
    """Paint a sample photo into the current folder, or into the home folder if that is not writable.

    Returns the exit code of the command.
    """
    folder = Path.cwd() if os.access(Path.cwd(), os.W_OK) else Path.home()
    photo, picture = CHECKOUT / "plugin/samples/chelsea.jpg", folder / f"{NAME}-demo.png"
    command = [str(part) for part in (program(NAME), "apply", photo, "--style", "great-wave", "-o", picture)]
    code = subprocess.run(command, env=clean_environment()).returncode
    if code == 0:
        say(f"{photo} in the style of the Great Wave: {picture}")
    return code


def run_tests(gimps: list[Gimp], arguments: list[str]) -> int:
    """Run pytest in the checkout with the environment's Python. Returns its exit code."""
    if not any(gimp.console for gimp in gimps):
        say(
            "There is no GIMP 3 on this machine, so the tests that need it are skipped; install GIMP 3, "
            "or run .ci/run as root on Debian, which makes a system with GIMP 3"
        )
    python = str(program("python"))
    return subprocess.run([python, "-m", "pytest", *arguments], cwd=CHECKOUT, env=clean_environment()).returncode


def uninstall() -> None:
    """Remove the filter, its last values, the command and the environment, but keep the user's own styles.

    Raises InstallError, after everything else is removed, if something cannot be removed.
    """
    failed = []
    for path in [*filter_files(), *command_links(), paths.environment_folder(), log_file()]:
        if not (path.exists() or path.is_symlink()):
            continue
        try:
            if path == paths.environment_folder():
                remove_environment()
            elif path.is_symlink() or path.is_file():
                path.unlink()
            else:
                shutil.rmtree(path)
        except OSError as error:
            failed.append(f"{path} ({describe(error)})")
        else:
            say(f"Removed {path}")
    if failed:
        raise InstallError(
            f"these could not be removed: {', '.join(failed)}; make their folders writable and run this again."
        )
    if paths.user_styles_folder().is_dir():
        say(f"Your own styles stay in {paths.user_styles_folder()}")
    elif paths.data_folder().is_dir() and not any(paths.data_folder().iterdir()):
        paths.data_folder().rmdir()


def filter_files() -> list[Path]:
    """List what the filter has in the profiles of all GIMPs: itself, its last values and its log."""
    patterns = (
        f"plug-ins/{NAME}",
        f"plug-ins/.{NAME}-*",
        f"plug-in-settings/*plug-in-{NAME}.*",
        f"plug-in-settings/*plug-in-{NAME}-*",
        f"{NAME}.log",
    )
    return [path for gimp in find_gimps() for pattern in patterns for path in sorted(gimp.profile.glob(pattern))]


def command_links() -> list[Path]:
    """List the links to the command."""
    links = [folder / NAME for folder in link_folders()]
    return [link for link in links if link.is_symlink() and link.readlink() == program(NAME)]


def remove_environment() -> None:
    """Remove the environment. Raises InstallError if the folder holds something else."""
    folder = paths.environment_folder()
    doomed = folder.with_name(f"{folder.name}.removed")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise InstallError(f"{folder} is not a Python environment; move it away and run this again.")
    if doomed.exists():
        shutil.rmtree(doomed)
    if folder.exists():
        # Rename it first: an interrupted removal must not leave half an environment in its place.
        folder.rename(doomed)
        shutil.rmtree(doomed)


def read_state() -> dict[str, Any]:
    """Return what the last finished run wrote about the environment, or an empty state if there is none."""
    try:
        state = json.loads(state_file().read_text(encoding="utf-8"))
        return {key: state[key] for key in ("python", "runtime", "extras", "version")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"python": None, "runtime": None, "extras": []}


def write_state(state: dict[str, Any]) -> None:
    """Write what the environment has, whole or not at all."""
    fresh = state_file().with_suffix(".new")
    fresh.write_text(json.dumps(state, indent=2), encoding="utf-8")
    fresh.replace(state_file())


def read_project() -> dict[str, Any]:
    """Read pyproject.toml, the one list of what has to be installed."""
    import tomllib  # not at the top, where an older Python would fail before main can say why

    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def loads(extras: list[str]) -> bool:
    """Return whether the environment's Python starts and loads fast painting and the main package of each extra."""
    packages = {"torch": "torch", "test": "pytest"}
    modules = ["pip", "plugin.cli.main", "plugin.engine.fast.fast_painting", *(packages[extra] for extra in extras)]
    try:
        run("loading Neural Style", program("python"), "-I", "-c", f"import {', '.join(modules)}")
    except (InstallError, OSError):
        return False
    return True


def use_gpu() -> bool:
    """Return whether this machine can use packages with CUDA."""
    return nvidia_driver() and platform.machine() in ("x86_64", "AMD64")


def pip(command: str, *arguments: str) -> list[str | Path]:
    """Return a command line of the environment's pip."""
    return [program("python"), "-I", "-m", "pip", command, "--no-input", "--disable-pip-version-check", *arguments]


def progress_options() -> list[str]:
    """Return the options with which the environment's pip reports the bytes that it fetches, if it can."""
    command = pip("--version")
    answer = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, errors="replace").stdout
    version = re.match(r"pip (\d+)\.(\d+)", answer)
    new_enough = version is not None and tuple(map(int, version.groups())) >= OLDEST_PIP_WITH_PROGRESS
    return ["--progress-bar", "raw"] if new_enough else []


def run(what: str, *command: str | Path, shown: bool = False) -> None:
    """Run a command and append its output to the log. If it is ``shown``, print it too, line by line.

    Raises InstallError with the reason if it fails; ``what`` says in that sentence what failed.
    """
    output = []
    with log_file().open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(map(str, command))}\n")
        process = subprocess.Popen(
            command,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        with process as running:
            for line in running.stdout or ():
                if shown:
                    say(line.rstrip())
                if not line.startswith("Progress "):
                    output.append(line)
                    log.write(line)
        log.write("\n")
    if process.returncode:
        lines = [line.strip() for line in output if line.strip()] or [f"exit code {process.returncode}"]
        reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
        if any("Retrying (Retry(" in line for line in output):
            reason = "the package registry does not answer"
        raise InstallError(f"{what} failed: {reason.removeprefix('ERROR:').strip()} (full output: {log_file()})")


def clean_environment() -> dict[str, str]:
    """Return the environment variables except those that would lead Python or pip elsewhere."""
    misleading = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX")
    return {name: value for name, value in os.environ.items() if name not in misleading} | {"PIP_USER": "0"}


def program(name: str) -> Path:
    """Return the path of a program in the environment."""
    return paths.environment_folder() / (f"Scripts/{name}.exe" if WINDOWS else f"bin/{name}")


def site_packages(python: str) -> Path:
    """Return the folder of the environment's packages."""
    return paths.environment_folder() / ("Lib/site-packages" if WINDOWS else f"lib/python{python}/site-packages")


def state_file() -> Path:
    """Return the path of the state, which is written last: an environment without it is unfinished."""
    return paths.environment_folder() / "installed.json"


def log_file() -> Path:
    """Return the path of the log, the output of all commands that the installation ran."""
    return paths.data_folder() / "install.log"


def describe(error: OSError) -> str:
    """Return what the system refused, and for which file, in words."""
    return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)


def remedy(error: OSError) -> str:
    """Return what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some disk space"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make that writable"
    return "remove the cause"


def say(line: str) -> None:
    """Print a line at once, even into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
