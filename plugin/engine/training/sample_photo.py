"""The bundled photo that thumbnails and previews show."""

from __future__ import annotations

from importlib import resources

import numpy as np
from PIL import Image

SAMPLE_PHOTO = "chelsea.jpg"


def read_sample_photo() -> np.ndarray:
    """Return the photo as uint8 [H, W, 3]."""
    with (resources.files("plugin") / "samples" / SAMPLE_PHOTO).open("rb") as file:
        return np.array(Image.open(file).convert("RGB"))
