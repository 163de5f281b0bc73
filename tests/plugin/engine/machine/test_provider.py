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
from onnx import TensorProto

from nst_core.base.errors import StyleError
from plugin.engine.machine.provider import CPU, Provider, open_session
from tests.conftest import ROOT
from tests.style_files import negative_style

# Imitates a machine with a driver and ONNX Runtime for CUDA.
HOST = """
import sys
from pathlib import Path
from plugin.engine.machine import provider
provider.nvidia_driver = lambda: True
provider.ort.get_available_providers = lambda: [provider.CUDA, provider.CPU]
provider.cuda_problem(Path(sys.argv[1]))
"""


def test_session_of_a_model_that_reads_other_files_is_not_made(tmp_path):
    model = negative_style()
    tensor = model.graph.initializer.add(name="stolen", data_type=TensorProto.UINT8, dims=[16])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    (tmp_path / "secret").write_bytes(bytes(16))
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(StyleError, match="refers to other files"):
        open_session(tmp_path / "x.onnx", Provider(CPU, ""))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are not Unicode")
def test_style_file_with_a_name_in_latin_1_opens(tmp_path):
    model = tmp_path / os.fsdecode("é.onnx".encode("latin-1"))
    model.write_bytes(negative_style().SerializeToString())
    assert open_session(model, Provider(CPU, "")).get_inputs()[0].name == "image"


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
