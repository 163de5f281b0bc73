"""Fixtures for the tests of the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def run(tmp_path):
    """Run ``neural-style`` in an empty folder with an empty home, in several processes by ``torchrun`` if asked to."""
    environment = os.environ | {
        "HOME": str(tmp_path / "home"),
        "NEURAL_STYLE_HOME": str(tmp_path / "home" / "neural-style"),
        "TORCH_HOME": str(tmp_path / "home" / "torch"),
        "PYTHONPATH": os.pathsep.join(p for p in (str(Path.cwd()), os.environ.get("PYTHONPATH")) if p),
    }
    folder = tmp_path / "work"
    folder.mkdir()

    def go(*arguments, start=False, processes=1):
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "plugin.cli", *map(str, arguments)]
        keywords = {
            "cwd": folder,
            "env": environment,
            "text": True,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(command, **keywords) if start else subprocess.run(command, timeout=300, **keywords)

    go.folder = folder
    return go


@pytest.fixture
def sample(samples):
    return samples / "chelsea.jpg"
