"""The trial run on a GPU (fast/test_fast_painting.py tests its consequences)."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

# Imitates a machine with a driver and ONNX Runtime for CUDA.
HOST = """
import sys
from pathlib import Path
from plugin.engine.machine import provider
provider.nvidia_driver = lambda: True
provider.ort.get_available_providers = lambda: [provider.CUDA, provider.CPU]
provider.cuda_problem(Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_gpu_trial_ends_with_its_host(tmp_path):
    model = tmp_path / "endless.onnx"
    os.mkfifo(model)
    host = subprocess.Popen([sys.executable, "-c", HOST, model], cwd=ROOT)
    wait_for_reader(model)
    (trial,) = psutil.Process(host.pid).children()
    host.send_signal(signal.SIGKILL)
    host.wait()
    psutil.wait_procs([trial], 2)
    assert not trial.is_running() or trial.status() == psutil.STATUS_ZOMBIE


def wait_for_reader(pipe: Path) -> None:
    """Return as soon as a process reads the pipe. That process then waits as long as this one lives."""
    for _ in range(600):
        with suppress(OSError):  # no process reads it yet
            os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            return
        time.sleep(0.1)
    raise TimeoutError("the trial does not open the model")
