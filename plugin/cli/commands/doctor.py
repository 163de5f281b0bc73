"""``neural-style doctor``: say what is installed and what is missing."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from typing import TYPE_CHECKING, Any

from nst_core.base.display_text import one_line
from plugin.cli.reports import Report

if TYPE_CHECKING:
    from nst_core.style_file import Style

SUMMARY = "Show what is installed and what is missing."
REPORTED_PACKAGES = (
    "neural-style",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "pillow",
    "pillow-heif",
    "pyvips",
    "torch",
    "matplotlib",
    "av",
    "opencv-python-headless",
    "gradio",
)
OPTIONAL_MODULES = {
    "torch": "PyTorch, for renders and training",
    "matplotlib": "matplotlib, for plots",
    "av": "PyAV, for films",
    "cv2": "OpenCV, for steady strokes in films",
    "gradio": "Gradio, for the page in the browser",
}
LONGEST_PATH = 1000  # characters


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add nothing: ``doctor`` has no options of its own."""


def run(options: argparse.Namespace) -> Report:
    """Print the report, a line or a list for each part."""
    report = examine()
    if not options.json:
        for key, value in report.items():
            if isinstance(value, list):
                print(f"{key}:", *value, sep="\n  ")
            else:
                print(f"{key}:", value)
    return report


def examine() -> dict[str, Any]:
    """Return a report for people and for bug reports: versions, execution providers, GIMPs, styles, networks."""
    from plugin.engine.fast.style_library import read_library
    from plugin.engine.machine import paths
    from plugin.engine.machine.gimps import find_gimps

    library = read_library()
    styles = list(library.styles.values())
    providers, gpu = _execution_providers(styles)
    return {
        "system": platform.platform(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "environment": str(paths.environment_folder()),
        "packages": [f"{name} {version}" for name in REPORTED_PACKAGES if (version := _version(name))],
        "not_installed": not_installed(),
        "execution_providers": providers,
        "gpu": gpu,
        "gimp": [
            f"{gimp.version}, profile {gimp.profile}, Python {'.'.join(map(str, gimp.python_version or ('?',)))}"
            for gimp in find_gimps()
        ]
        or ["none found"],
        "styles": [f"{style.name} ({one_line(str(style.path), LONGEST_PATH)})" for style in styles],
        "styles_left_out": library.left_out,
        "user_styles_folder": str(paths.user_styles_folder()),
        "feature_networks": _feature_networks(),
    }


def _execution_providers(styles: list[Style]) -> tuple[list[str], str]:
    """Return the execution providers of ONNX Runtime, and whether the GPU works.

    A bundled style is tried if there is one, because a damaged file of the user's says nothing about the GPU.
    """
    try:
        from nst_core.base.onnx_runtime import ort
        from plugin.engine.machine import paths
        from plugin.engine.machine.provider import cuda_problem
    except ImportError as error:
        return [], f"not used: ONNX Runtime does not load ({error}); run install.py again"
    bundled = [style for style in styles if style.path.parent == paths.bundled_styles_folder()]
    tried = bundled or styles
    problem = cuda_problem(tried[0].path) if tried else "there is no style to try it with"
    return ort.get_available_providers(), f"not used: {problem}" if problem else "used"


def not_installed() -> list[str]:
    """Return the optional packages that are missing, each with its use."""
    return [use for module, use in OPTIONAL_MODULES.items() if importlib.util.find_spec(module) is None]


def _version(package: str) -> str | None:
    from importlib import metadata  # not at the top: it would delay every other command by a hundredth of a second

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _feature_networks() -> list[str]:
    if importlib.util.find_spec("torch") is None:
        return ["none: PyTorch is not installed (python3 install.py torch)"]
    from nst_core.features import catalogue

    available = catalogue.available()
    missing = {
        name: f"not on disk, downloaded on first use ({download.size / 2**20:.0f} MiB)"
        for name, download in catalogue.DOWNLOADS.items()
    } | {"compact": "missing; run install.py again"}
    return [f"{name}: {available.get(name) or advice}" for name, advice in missing.items()]
