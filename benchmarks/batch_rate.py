"""Compare the CPU time of ``apply`` with many pictures with that of the inference alone.

    python -m benchmarks.batch_rate PHOTO [--size 1600x1200] [--pictures 10] [--style great-wave]

CPU seconds rather than seconds, because other work on the machine changes them less.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.memory import keep_freed_memory


def inference_seconds(photo: Image.Image, style: str, pictures: int) -> float:
    """Return the CPU seconds of one inference: those of a painting, times its share of the painting's stages."""
    keep_freed_memory()
    pixels = np.ones((photo.height, photo.width, 4), np.float32)
    pixels[..., :3] = np.asarray(photo.convert("RGB"), np.float32) / 255
    styles, share = find_styles(style), []
    paint_fast(Picture(pixels), styles)
    start = time.process_time()
    for _ in range(pictures):
        seconds = paint_fast(Picture(pixels), styles).seconds
        share.append(seconds["inference"] / seconds["total"])
    return (time.process_time() - start) / pictures * float(np.median(share))


def batch_seconds(photo: Image.Image, style: str, pictures: int) -> float:
    """Return the CPU seconds that ``apply`` takes for that many pictures, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "photos")
        source.mkdir()
        for number in range(pictures):
            photo.save(source / f"{number}.jpg", quality=92)
        command = [sys.executable, "-m", "plugin.cli", "apply", str(source), "--style", style, "-o", f"{folder}/out"]
        before = os.times()
        subprocess.run([*command, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Print CPU seconds for each picture, without those of starting and loading."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--size", default="1600x1200")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--style", default="great-wave")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    photo = Image.open(options.photo).convert("RGB").resize((width, height))
    inference = inference_seconds(photo, options.style, options.pictures)
    few = 2
    many = batch_seconds(photo, options.style, few + options.pictures)
    each = (many - batch_seconds(photo, options.style, few)) / options.pictures
    print(f"{options.size}: inference {inference:.3f} CPU s, apply {each:.3f} CPU s, ratio {inference / each:.2f}")


if __name__ == "__main__":
    main()
