"""Make the sheets of ``docs/control.md`` from the sample photos: ``python -m benchmarks.control [OUT]``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.picture import Picture
from plugin.engine.regions.masks import feathered, protected
from plugin.engine.regions.region_painting import Region, TrainedStyles, paint_regions
from plugin.engine.regions.region_settings import RegionSettings

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "plugin" / "samples"
WIDTH, GAP = 400, 6
# Ellipses (left, top, right, bottom) in shares of the picture: the cup with its saucer, and the cat's face.
CUP, FACE = (0.13, 0.02, 0.82, 0.95), (0.22, 0.08, 0.72, 0.98)


def main() -> None:
    """Write all sheets into a folder, by default the one of the documentation."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "control"
    out.mkdir(parents=True, exist_ok=True)
    for name, pictures in (("regions", regions()), ("protection", protection())):
        sheet(list(pictures)).save(out / f"{name}.jpg", quality=88)
        print(out / f"{name}.jpg")


def regions() -> Iterable[np.ndarray]:
    """Yield a mask, the regions with three feathers, and a region that stays a photo."""
    photo = read("coffee.jpg")
    mask = ellipse(photo, CUP)
    yield mask[..., None].repeat(3, 2)
    wave, night = (TrainedStyles(find_styles(name)) for name in ("great-wave", "starry-night"))
    for feather in (0, 15, 60):
        yield paint_regions(photo, [Region(mask, wave)], night, RegionSettings(feather)).pixels
    yield paint_regions(photo, [Region(mask, None)], night, RegionSettings(15)).pixels


def protection() -> Iterable[np.ndarray]:
    """Yield the photo, its painting, and paintings with a face of growing strength."""
    photo = read("chelsea.jpg")
    mask = feathered(ellipse(photo, FACE), 30)
    yield photo.pixels
    for strength in (100, 60, 25, 0):
        yield paint_fast(protected(photo, mask, strength), find_styles("udnie"), FastSettings(detail=0)).pixels


def read(name: str) -> Picture:
    """Return a sample photo."""
    with Image.open(SAMPLES / name) as image:
        pixels = np.ones((image.height, image.width, 4), np.float32)
        pixels[..., :3] = np.asarray(image.convert("RGB"), np.float32) / 255
    return Picture(pixels)


def ellipse(photo: Picture, box: tuple[float, float, float, float]) -> np.ndarray:
    """Return the mask of an ellipse, float32 [H, W]."""
    image = Image.new("L", (photo.width, photo.height))
    sides = (photo.width, photo.height) * 2
    ImageDraw.Draw(image).ellipse([share * side for share, side in zip(box, sides, strict=True)], fill=255)
    return np.asarray(image, np.float32) / 255


def sheet(pictures: list[np.ndarray]) -> Image.Image:
    """Return pictures of one size side by side, each WIDTH pixels wide."""
    images = [Image.fromarray((picture[..., :3] * 255 + 0.5).astype(np.uint8)) for picture in pictures]
    height = round(WIDTH * images[0].height / images[0].width)
    result = Image.new("RGB", (len(images) * (WIDTH + GAP) - GAP, height), "white")
    for number, image in enumerate(images):
        result.paste(image.resize((WIDTH, height), Image.Resampling.LANCZOS), (number * (WIDTH + GAP), 0))
    return result


if __name__ == "__main__":
    main()
