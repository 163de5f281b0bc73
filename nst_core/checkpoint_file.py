"""Write checkpoints, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write ``state`` to ``path`` with ``torch.save``, whole or not at all.

    Raises StyleError if it cannot be written; a file that was there before stays as it was.
    """
    try:
        with written_whole(path) as partial:
            torch.save(dict(state), partial)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise StyleError(f"The checkpoint {path} cannot be written ({error}); free some space and resume.") from error
