"""Try a style file that is not trusted in a process of its own, with limits, before it runs in this one."""

from __future__ import annotations

import functools
import hashlib
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.machine import paths
from plugin.engine.machine.provider import python_executable

MEMORY_LIMIT = 1 << 29  # bytes for a picture of TRIAL_SIDE; by their size rules the bundled styles take 1.3 MB
TIME_LIMIT = 5  # seconds of CPU time
TRIAL_SIDE = 64  # pixels, at least
# The system may be so busy that a trial does not end; that says nothing about the style.
TRIAL_SECONDS = 120  # seconds
EXCEEDED = 77  # exit code of a trial
# Linux keeps the limits itself. Elsewhere a trial is watched, which notices an excess only afterwards.
LIMITS_HOLD = sys.platform == "linux"
WATCH_SECONDS = 0.02
WATCHED_BASE = 1 << 28  # bytes that Python and ONNX Runtime take without a style


@functools.lru_cache(maxsize=64)
def try_style(path: Path, modified: int, size: tuple[int, int], rows: int) -> None:
    """Paint a small picture of ``size`` (height, width) with a style file under limits, once for each version of it.

    ``modified`` is the time of the file's last change, and ``rows`` the number of its network's rows. Bundled styles
    are trusted, and so are those that passed before: the private environment keeps the sha256 of each. Raises
    StyleError if a limit is exceeded or the trial crashes; a style that fails in another way does so again, with its
    reason, where it is used.
    """
    if is_bundled(path):
        return
    checksum = _checksum(path)
    if checksum in _passed():
        return
    code = _trial(path, size, rows)
    if code == EXCEEDED or (code is not None and code < 0 and code != -signal.SIGINT):
        raise StyleError(
            _("The style {path} takes far more memory or time than a style should; choose another style.").format(
                path=path
            )
        )
    if code == 0 and _passed_file().parent.is_dir():
        with suppress(OSError), _passed_file().open("a", encoding="utf-8") as file:
            file.write(f"{checksum}\n")


def is_bundled(path: Path) -> bool:
    """Return whether a style file came with this package."""
    return path.resolve().parent == paths.bundled_styles_folder().resolve()


def _trial(path: Path, size: tuple[int, int], rows: int) -> int | None:
    """Return the exit code of a trial, or None if it says nothing."""
    numbers = (MEMORY_LIMIT, TIME_LIMIT, *size, rows, int(LIMITS_HOLD))
    command = [python_executable(), "-c", _TRIAL_SCRIPT, str(path), *map(str, numbers), *sys.path]
    nowhere = subprocess.DEVNULL
    try:
        with subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere) as trial:
            try:
                return _watched(trial, path.stat().st_size)
            finally:
                trial.kill()
    except (OSError, subprocess.TimeoutExpired):
        return None


def _watched(trial: subprocess.Popen[bytes], file_size: int) -> int:
    """Wait for a trial, at most TRIAL_SECONDS, and return its exit code, or EXCEEDED if it passed a limit."""
    if LIMITS_HOLD:
        return trial.wait(TRIAL_SECONDS)
    import psutil

    allowed = WATCHED_BASE + MEMORY_LIMIT + 4 * file_size
    deadline = time.monotonic() + TRIAL_SECONDS
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(trial.pid)
        while trial.poll() is None and time.monotonic() < deadline:
            used = process.cpu_times()
            if process.memory_info().rss > allowed or used.user + used.system > TIME_LIMIT + 1:
                return EXCEEDED
            time.sleep(WATCH_SECONDS)
    return trial.wait(1)


def _checksum(path: Path) -> str:
    """Return the sha256 of a file, or an empty text if it cannot be read, which the trial finds out as well."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _passed_file() -> Path:
    return paths.environment_folder() / "tried-styles.txt"  # goes with the ONNX Runtime that ran the trials


def _passed() -> set[str]:
    """Return the sha256 of each style file that passed a trial in this environment."""
    try:
        return set(_passed_file().read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        return set()


_TRIAL_SCRIPT = """
import sys
path, (memory, time, height, width, rows, limited) = sys.argv[1], map(int, sys.argv[2:8])
sys.path[:] = sys.argv[8:]
from pathlib import Path
from plugin.engine.process.lifetime import end_with_parent
end_with_parent()
import numpy as np
from nst_core.base.onnx_model import read_model
from nst_core.base.onnx_runtime import ort
options = ort.SessionOptions()
options.log_severity_level = 4
options.intra_op_num_threads = 1
options.enable_cpu_mem_arena = False
options.add_session_config_entry("session.load_model_format", "ONNX")
inputs = {"image": np.zeros((1, 3, height, width), np.float32)}
if rows > 1:
    inputs["style_weights"] = np.eye(1, rows, dtype=np.float32)
data = read_model(Path(path))
if limited:
    import resource
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory + 4 * len(data),) * 2)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + time,) * 2)
try:
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(["styled"], inputs)
except Exception as error:
    if isinstance(error, MemoryError) or "alloc" in str(error).lower():
        sys.exit(77)
"""
