"""What is installed, what is found, and what is missing."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib import metadata
from typing import Any

from nst_core.style_file import Style
from plugin.engine.fast.style_library import read_library
from plugin.engine.machine import gimps as hosts
from plugin.engine.machine import paths

PACKAGES = ("neural-style", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "pillow", "pyvips", "torch")


def examine() -> dict[str, Any]:
    """A report for people and for bug reports: versions, execution providers, GIMPs, styles, feature networks."""
    library = read_library()
    styles = list(library.styles.values())
    providers, gpu = _execution_providers(styles)
    return {
        "system": platform.platform(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "environment": str(paths.environment_folder()),
        "packages": [f"{name} {version}" for name in PACKAGES if (version := _version(name))],
        "execution_providers": providers,
        "gpu": gpu,
        "gimp": [
            f"{gimp.version}, profile {gimp.profile}, Python {'.'.join(map(str, gimp.python_version or ('?',)))}"
            for gimp in hosts.find_gimps()
        ]
        or ["none found"],
        "styles": [f"{style.name} ({style.path})" for style in styles],
        "styles_left_out": library.left_out,
        "user_styles_folder": str(paths.user_styles_folder()),
        "feature_networks": _feature_networks(),
    }


def _execution_providers(styles: list[Style]) -> tuple[list[str], str]:
    """ONNX Runtime's, and whether the GPU is one that works."""
    try:
        import onnxruntime

        from plugin.engine.machine.provider import cuda_trouble
    except ImportError as error:
        return [], f"not used: ONNX Runtime does not load ({error}); run install.py again"
    trouble = cuda_trouble(styles[0].path) if styles else "there is no style to try it with"
    return onnxruntime.get_available_providers(), f"not used: {trouble}" if trouble else "used"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _feature_networks() -> list[str]:
    if importlib.util.find_spec("torch") is None:
        return ["none: PyTorch is not installed (python3 install.py torch)"]
    from nst_core.features import catalogue as weights

    found = weights.available()
    missing = {
        name: f"not on disk, fetched on first use ({download.size / 2**20:.0f} MiB)"
        for name, download in weights.DOWNLOADS.items()
    } | {"compact": "missing; run install.py again"}
    return [f"{name}: {found.get(name) or advice}" for name, advice in missing.items()]
