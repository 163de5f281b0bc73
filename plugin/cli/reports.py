"""The output of a command: lines for people, and the report that ``--json`` prints in their place."""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Report = dict[str, Any]
CONTROLS = ("Cc", "Zl", "Zp")  # Unicode's categories of control characters and separators of lines


def say(options: argparse.Namespace, text: str) -> None:
    """Print ``text`` unless ``--json`` was given."""
    if not options.json:
        print(visible(text))


def visible(text: str) -> str:
    """Return ``text`` with escapes for what a terminal would act on, such as a line end in a file's name."""
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in CONTROLS else character
        for character in text
    )


def painting_report(options: argparse.Namespace, pixels: np.ndarray, seconds: Mapping[str, float]) -> Report:
    """Return the report on a painted picture: its file and size, seconds by stage, and peak memory."""
    from plugin.engine.machine.memory import peak_rss_mib

    return {
        "output": str(options.output),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "torch_loaded": "torch" in sys.modules,
    }
