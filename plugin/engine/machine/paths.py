"""The folders of Neural Style. The environment variable NEURAL_STYLE_HOME puts them all into one folder.

Standard library only: install.py needs these folders before any environment exists.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER_NAME = "neural-style"
NO_HOME = Path("/nonexistent")  # the home that Debian gives to users who have none


def home_folder() -> Path:
    """Return the user's home folder, or a folder that does not exist for a user without one, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return NO_HOME


def data_folder() -> Path:
    """Return the folder of what must not be lost: the private environment and the user's own styles."""
    if home := os.environ.get("NEURAL_STYLE_HOME"):
        return Path(home).absolute()
    if sys.platform == "darwin":
        return home_folder() / "Library/Application Support" / FOLDER_NAME
    if sys.platform == "win32":
        return _base("LOCALAPPDATA", "AppData/Local") / FOLDER_NAME
    return _base("XDG_DATA_HOME", ".local/share") / FOLDER_NAME


def environment_folder() -> Path:
    """Return the folder of the private Python environment, which install.py creates."""
    return data_folder() / "environment"


def installer_folder() -> Path:
    """Return the folder of the installer's copy, with which the filter adds PyTorch."""
    return environment_folder() / "installer"


def user_styles_folder() -> Path:
    """Return the folder from which the user's own style files are listed."""
    return data_folder() / "styles"


def cache_folder() -> Path:
    """Return the folder for files that can be computed again."""
    if home := os.environ.get("NEURAL_STYLE_HOME"):
        return Path(home).absolute() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches" / FOLDER_NAME
    if sys.platform == "win32":
        return data_folder() / "cache"
    return _base("XDG_CACHE_HOME", ".cache") / FOLDER_NAME


def bundled_styles_folder() -> Path:
    """Return the folder of the styles that come with this package."""
    return Path(__file__).parents[2] / "styles"


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification tells programs to ignore a relative path.
    return Path(value) if Path(value).is_absolute() else home_folder() / default
