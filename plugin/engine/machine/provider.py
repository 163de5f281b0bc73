"""Which execution provider runs a style: CUDA when it truly works, else the CPU, and why."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from nst_core.base.device_names import check_device
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.machine.nvidia import nvidia_driver

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_tried: dict[Path, str | None] = {}


@dataclass(frozen=True)
class Provider:
    """An execution provider by ONNX Runtime's name, and in one phrase why it is this one.

    ``fell_back`` is True where the CPU stands in for a GPU that is there, with a runtime for it, and does not work.
    """

    name: str
    reason: str
    fell_back: bool = False


def choose_provider(device: str, model: Path) -> Provider:
    """The provider for ``device`` (``auto``, ``cuda`` or ``cpu``). Raises StyleError if CUDA was asked for in vain."""
    check_device(device)
    if device == "cpu":
        return Provider(CPU, _("the CPU was asked for"))
    trouble = cuda_trouble(model)
    if trouble is None:
        return Provider(CUDA, _("an NVIDIA GPU ran a trial picture"))
    if device == "cuda":
        raise StyleError(f"The GPU cannot be used: {trouble}. Mend that, or choose the device cpu.")
    return Provider(CPU, trouble, fell_back=CUDA in ort.get_available_providers() and nvidia_driver())


def cuda_trouble(model: Path) -> str | None:
    """Why CUDA cannot run ``model``, or None if it can. It is tried once, until ``forget_troubles``.

    ONNX Runtime falls back to the CPU with no more than a warning when a CUDA library is missing, and a bad driver may
    take the whole process down. So the model runs on a small picture in a process of its own, fall-back forbidden.
    """
    if model not in _tried:
        _tried[model] = _trouble(model)
    return _tried[model]


def forget_troubles() -> None:
    """Have what did not run on CUDA tried again: the card may have been busy with something else."""
    for model in [model for model, trouble in _tried.items() if trouble]:
        del _tried[model]


def _trouble(model: Path) -> str | None:
    if CUDA not in ort.get_available_providers():
        return _("this ONNX Runtime is built for the CPU")
    if not nvidia_driver():
        return _("no NVIDIA driver was found")
    try:
        trial = subprocess.run(
            [_python(), "-c", _TRIAL, str(model), *sys.path],
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
    """How a style's session runs on this provider."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # the rest goes to the reason, not to the user's terminal
    # Pictures differ in size from run to run; patterns would only hold on to memory.
    options.enable_mem_pattern = False
    # Without an arena the system clears fresh memory for every tensor, at 1024x1024 two fifths more time on a CPU.
    options.enable_cpu_mem_arena = provider.name == CPU
    return options


def run_options(session: ort.InferenceSession) -> ort.RunOptions:
    """How such a session is run: the arena gives back after a run what the run took."""
    options = ort.RunOptions()
    if session.get_providers()[0] == CPU:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def open_session(model: Path, provider: Provider, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """An ONNX Runtime session for a style file, with ``session_options`` if none are given.

    Raises StyleError if the file does not load.
    """
    if provider.name == CUDA:
        ort.preload_dlls(directory="")
        providers: list = [(CUDA, {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"})]
        providers.append(CPU)
    else:
        providers = [CPU]
    try:
        return ort.InferenceSession(model, options or session_options(provider), providers=providers)
    except Exception as error:  # the runtime's own exception classes share no base but this
        raise StyleError(
            _("{model} cannot be loaded by ONNX Runtime ({error}); export or copy it again.").format(
                model=model, error=error
            )
        ) from error


def _python() -> str:
    # Inside a host sys.executable may be the host itself or empty.
    return sys.executable if "python" in Path(sys.executable or "").name.lower() else "python3"


_TRIAL = """
import sys
sys.path[:] = sys.argv[2:]
from plugin.engine.process.lifetime import end_with_parent
end_with_parent()
import numpy as np, onnxruntime as ort
ort.preload_dlls(directory="")
options = ort.SessionOptions()
options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
session = ort.InferenceSession(sys.argv[1], options, providers=["CUDAExecutionProvider"])
if session.get_providers()[0] != "CUDAExecutionProvider":
    sys.exit("ONNX Runtime fell back to " + session.get_providers()[0])
session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 64, 64), np.float32)})
"""
