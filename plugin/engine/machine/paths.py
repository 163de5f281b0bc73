"""The folders Neural Style keeps things in. NEURAL_STYLE_HOME puts them all under one folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Standard library only: install.py needs these folders before any environment exists.

NAME = "neural-style"


def data_folder() -> Path:
    """What the user would miss: the private environment and the user's own styles."""
    if home := os.environ.get("NEURAL_STYLE_HOME"):
        return Path(home).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support" / NAME
    if sys.platform == "win32":
        return _base("LOCALAPPDATA", "AppData/Local") / NAME
    return _base("XDG_DATA_HOME", ".local/share") / NAME


def environment_folder() -> Path:
    """The private Python environment that install.py makes."""
    return data_folder() / "environment"


def user_styles_folder() -> Path:
    """Where a style file of the user's goes to be in the list."""
    return data_folder() / "styles"


def bundled_styles_folder() -> Path:
    """The styles that come with this package."""
    return Path(__file__).parents[2] / "styles"


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification tells programs to ignore a relative path.
    return Path(value) if Path(value).is_absolute() else Path.home() / default
