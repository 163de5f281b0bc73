"""How the filter follows the installer; the installers are stand-ins that print what the real one does."""

import sys
import threading
import time

import pytest

from nst_core.base.errors import StyleError


@pytest.fixture
def start(filter_module, tmp_path):
    """Start a stand-in for the installer, with these lines of code."""
    module, installation = filter_module("torch_installation"), filter_module("installation")

    def call(*lines):
        folder = tmp_path / "home" / "environment"
        (folder / "installer").mkdir(parents=True)
        (folder / "installer" / "install.py").write_text("\n".join(("import os, sys, time", *lines)))
        return module.TorchInstallation(installation.Installation(folder, ("3", "0"), sys.executable, folder))

    return call


def test_progress_and_environment_are_passed_on(start, tmp_path):
    run = start(
        "print(sys.argv[1], os.environ['NEURAL_STYLE_HOME'])",
        "print('Downloading torch.whl (2 MB)')",
        "[print(f'Progress {done} of 2000', flush=True) for done in (0, 500, 2000)]",
    )
    steps = []
    run.follow(lambda step: not steps.append((step.stage, step.fraction)))
    assert steps[1] == (f"add-torch {tmp_path / 'home'}", 0.0)
    assert [fraction for stage, fraction in steps if "torch.whl" in stage] == [0, 0, 0.25, 1]


def test_reason_of_a_failure_is_raised(start):
    run = start("print('Fetching')", "sys.exit('install.py: no space left on the disk; free some and run this again.')")
    with pytest.raises(StyleError, match=r"^no space left on the disk; free some and run this again\.$"):
        run.follow(lambda step: True)


def test_stopping_ends_the_installer_and_what_it_started(start, tmp_path):
    alive = tmp_path / "alive"
    run = start(
        "import subprocess",
        f'code = "import time, pathlib\\nwhile True: pathlib.Path({str(alive)!r}).touch(); time.sleep(0.05)"',
        "child = subprocess.Popen([sys.executable, '-c', code])",
        "print('started', flush=True)",
        "child.wait()",
    )
    threading.Timer(1.0, run.stop).start()
    with pytest.raises(StyleError):
        run.follow(lambda step: True)
    time.sleep(0.3)
    alive.unlink(missing_ok=True)
    time.sleep(0.5)
    assert not alive.exists()


def test_missing_installer_is_named(filter_module, tmp_path):
    module, installation = filter_module("torch_installation"), filter_module("installation")
    with pytest.raises(StyleError, match=r"The installer is missing in .*; run `python3 install\.py torch`"):
        module.TorchInstallation(installation.Installation(tmp_path, ("3", "0"), sys.executable, tmp_path))
