"""Report the slow work before the first step of a training or a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst_core.features.downloads import DownloadProgress

StageCallback = Callable[[str, float], None]
"""Takes what is being done, a short phrase for people, and the fraction of it that is done, 0..1."""


def download_stage(features: str, stage: StageCallback) -> DownloadProgress:
    """Return a download's callback that reports to ``stage``."""

    def progress(done: int, total: int) -> bool:
        stage(f"Fetching {features}", done / total)
        return True

    return progress
