"""Choose the execution provider that runs a style: CUDA if it works on this machine, else the CPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_core.base.device_names import check_device
from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.onnx_model import read_model
from nst_core.base.onnx_runtime import ort
from plugin.engine.machine.nvidia import nvidia_driver

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# The answers of ``cuda_problem``. functools.cache could not forget the failures and keep the rest.
_problems: dict[Path, str | None] = {}


@dataclass(frozen=True)
class Provider:
    """An execution provider by ONNX Runtime's name, and in one phrase why it was chosen.

    ``fell_back`` is True if the machine and its ONNX Runtime have a GPU, but it does not work, so the CPU replaces it.
    """

    name: str
    reason: str
    fell_back: bool = False

    def __str__(self) -> str:
        """Return where it runs, as in *painted on the CPU*, with the reason if a GPU was expected."""
        if self.name == CUDA:
            return _("on the GPU")
        return _("on the CPU") + (f" ({self.reason})" if self.fell_back else "")


def choose_provider(device: str, model: Path) -> Provider:
    """Choose the provider for ``device``: ``auto``, ``cuda`` or ``cpu``. Raises StyleError if ``cuda`` fails."""
    check_device(device)
    if device == "cpu":
        return Provider(CPU, _("the CPU was requested"))
    problem = cuda_problem(model)
    if problem is None:
        return Provider(CUDA, _("an NVIDIA GPU ran a trial picture"))
    if device == "cuda":
        raise StyleError(f"The GPU cannot be used: {problem}. Fix that, or choose the device cpu.")
    return Provider(CPU, problem, fell_back=CUDA in ort.get_available_providers() and nvidia_driver())


def cuda_problem(model: Path) -> str | None:
    """Return why CUDA cannot run ``model``, or None if it can. The answer is kept until ``forget_cuda_problems``.

    ONNX Runtime falls back to the CPU with only a warning if a CUDA library is missing, and a bad driver may crash the
    whole process. So the model runs once on a small picture in a process of its own, without fallback.
    """
    if model not in _problems:
        _problems[model] = _find_cuda_problem(model)
    return _problems[model]


def is_known(model: Path) -> bool:
    """Return whether ``choose_provider`` answers for ``model`` at once, without a trial on the GPU."""
    return model in _problems or CUDA not in ort.get_available_providers() or not nvidia_driver()


def forget_cuda_problems() -> None:
    """Have models that did not run on CUDA tried again: the GPU may have been busy."""
    for model in [model for model, problem in _problems.items() if problem]:
        del _problems[model]


def _find_cuda_problem(model: Path) -> str | None:
    if CUDA not in ort.get_available_providers():
        return _("this ONNX Runtime is built for the CPU")
    if not nvidia_driver():
        return _("no NVIDIA driver was found")
    try:
        trial = subprocess.run(
            [python_executable(), "-c", _LOADING_SCRIPT, str(model), *sys.path],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _("the trial run on the GPU failed ({reason})").format(reason=type(error).__name__)
    if trial.returncode == 0:
        return None
    lines = [line for line in trial.stderr.splitlines() if line.strip()]
    reason = lines[-1][:200] if lines else f"exit code {trial.returncode}"
    return _("the trial run on the GPU failed ({reason})").format(reason=reason)


def session_options(provider: Provider) -> ort.SessionOptions:
    """Return the options of a style's session on this provider."""
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors are raised; in the log they would reach the terminal, with a file's texts
    # Pictures differ in size from run to run, so patterns would only keep memory.
    options.enable_mem_pattern = False
    # Without an arena the system clears fresh memory for every tensor: two fifths more time at 1024x1024 on a CPU.
    options.enable_cpu_mem_arena = provider.name == CPU
    return options


def run_options(session: ort.InferenceSession, keep_memory: bool = False) -> ort.RunOptions:
    """Return the options of a run, after which the CPU's arena gives its memory back unless ``keep_memory`` is set."""
    options = ort.RunOptions()
    if session.get_providers()[0] == CPU and not keep_memory:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def open_session(model: Path, provider: Provider, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """Open an ONNX Runtime session for a style file, with ``session_options`` if none are given.

    Raises StyleError if ``read_model`` refuses the file or it does not load.
    """
    data = read_model(model)
    try:
        return open_model(data, provider, options)
    except Exception as error:  # the only base class of the runtime's own exceptions
        raise StyleError(
            _("{model} cannot be loaded by ONNX Runtime ({error}); export or copy it again.").format(
                model=model, error=one_line(str(error), LONGEST_REASON)
            )
        ) from error


def open_model(data: bytes, provider: Provider, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """Open an ONNX Runtime session for a model, with ``session_options`` if none are given.

    Raises what the runtime raises if the model does not load.
    """
    if provider.name == CUDA:
        ort.preload_dlls(directory="")
        providers: list[Any] = [
            (CUDA, {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"})
        ]
        providers.append(CPU)
    else:
        providers = [CPU]
    options = options or session_options(provider)
    options.add_session_config_entry("session.load_model_format", "ONNX")  # which ``read_model`` has checked
    return ort.InferenceSession(data, options, providers=providers)


def python_executable() -> str:
    """Return the Python for a process of our own."""
    # In a host, sys.executable may be the host itself or empty.
    return sys.executable if "python" in Path(sys.executable or "").name.lower() else "python3"


_LOADING_SCRIPT = """
import sys
sys.path[:] = sys.argv[2:]
from pathlib import Path
from plugin.engine.process.lifetime import end_with_parent
end_with_parent()
import numpy as np
from nst_core.base.onnx_model import read_model
from nst_core.base.onnx_runtime import ort
ort.preload_dlls(directory="")
options = ort.SessionOptions()
options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
options.add_session_config_entry("session.load_model_format", "ONNX")
session = ort.InferenceSession(read_model(Path(sys.argv[1])), options, providers=["CUDAExecutionProvider"])
if session.get_providers()[0] != "CUDAExecutionProvider":
    sys.exit("ONNX Runtime fell back to " + session.get_providers()[0])
session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 64, 64), np.float32)})
"""
