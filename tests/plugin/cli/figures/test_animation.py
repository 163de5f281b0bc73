import numpy as np
from PIL import Image

from plugin.cli.figures.animation import write_animation


def plain(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def test_frames_are_scaled_to_the_size_of_the_last(tmp_path):
    frames = [plain(60, 80, 10), plain(600, 800, 100), plain(1200, 1600, 200)]
    write_animation(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.size == (512, 384) and animation.n_frames == 3
