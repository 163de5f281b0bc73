"""Sample photos and an empty home."""

import numpy as np
import pytest
from PIL import Image

from plugin.engine.imaging.picture import Picture


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, so no style is in the cache; styles are measured at a small size."""
    monkeypatch.setattr("plugin.engine.instant.style_measurement.STYLE_PIXELS", 160**2)
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def read(samples):
    """Reads a sample photo as a Picture of at most ``side`` pixels a side."""

    def call(name, side):
        with Image.open(samples / name) as image:
            image.thumbnail((side, side))
            pixels = np.ones((image.height, image.width, 4), np.float32)
            pixels[..., :3] = np.asarray(image.convert("RGB"), np.float32) / 255
        return Picture(pixels)

    return call


@pytest.fixture
def photo(read):
    return read("chelsea.jpg", 96)


@pytest.fixture
def style(read):
    return read("rocket.jpg", 200)
