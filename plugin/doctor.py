"""What is installed, what is found, and what is missing."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from plugin.engine import hosts, paths, provider, style_library

PACKAGES = ("neural-style", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "pillow", "pyvips", "torch")


def examine() -> dict[str, Any]:
    """A report for people and for bug reports: versions, execution providers, GIMPs, styles, feature networks."""
    import onnxruntime

    styles = style_library.list_styles()
    trouble = provider.cuda_trouble(styles[0].path) if styles else "there is no style to try it with"
    return {
        "system": platform.platform(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "environment": str(paths.environment_folder()),
        "packages": [f"{name} {version}" for name in PACKAGES if (version := _version(name))],
        "execution_providers": onnxruntime.get_available_providers(),
        "gpu": f"not used: {trouble}" if trouble else "used",
        "gimp": [
            f"{gimp.version}, profile {gimp.profile}, Python {'.'.join(map(str, gimp.python_version or ('?',)))}"
            for gimp in hosts.find_gimps()
        ]
        or ["none found"],
        "styles": [f"{style.name} ({style.path})" for style in styles],
        "styles_left_out": list(style_library.unreadable_styles().values()),
        "user_styles_folder": str(paths.user_styles_folder()),
        "feature_networks": _feature_networks(),
    }


def peak_rss_mib() -> float:
    """The most memory this process has had in use so far, in MiB."""
    if sys.platform == "linux":
        # getrusage() would start from the peak of the process that started this one.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _feature_networks() -> list[str]:
    if importlib.util.find_spec("torch") is None:
        return ["none: PyTorch is not installed (python3 install.py torch)"]
    from nst_core import weights

    found = weights.available()
    return [
        f"{name}: {found.get(name) or f'not on disk, fetched on first use ({download.mebibytes} MiB)'}"
        for name, download in weights.DOWNLOADS.items()
    ]
