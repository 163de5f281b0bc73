"""Make the sheets of ``docs/control.md`` from the sample photos, or measure colours.

``python -m benchmarks.control [OUT]`` writes the sheets, ``python -m benchmarks.control STYLE PHOTO...`` prints the
colour distances of paintings of the photos.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import COLOR_CHOICES, COLORS_ONLY, PHOTOS, PHOTOS_BEFORE, BlendSettings
from plugin.engine.imaging.colour_matching import ColourStatistics, with_photo_colours
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.mixed_painting import take_colours
from plugin.engine.regions.masks import feathered, protected
from plugin.engine.regions.region_painting import Region, TrainedStyles, paint_regions
from plugin.engine.regions.region_settings import RegionSettings

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "plugin" / "samples"
WIDTH, GAP = 400, 6
# Ellipses (left, top, right, bottom) in shares of the picture: the cup with its saucer, and the cat's face.
CUP, FACE = (0.13, 0.02, 0.82, 0.95), (0.22, 0.08, 0.72, 0.98)


def main() -> None:
    """Write all sheets into a folder, by default the one of the documentation, or print distances."""
    if len(sys.argv) > 2:
        style, *photos = map(Path, sys.argv[1:])
        colour_distances(photos, style)
        return
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "control"
    out.mkdir(parents=True, exist_ok=True)
    for name, pictures in (("regions", regions()), ("protection", protection()), ("colours", colours())):
        sheet(list(pictures)).save(out / f"{name}.jpg", quality=88)
        print(out / f"{name}.jpg")


def regions() -> Iterable[np.ndarray]:
    """Yield a mask, the regions with three feathers, and a region that stays a photo."""
    photo = read(SAMPLES / "coffee.jpg")
    mask = ellipse(photo, CUP)
    yield mask[..., None].repeat(3, 2)
    wave, night = (TrainedStyles(find_styles(name)) for name in ("great-wave", "starry-night"))
    for feather in (0, 15, 60):
        yield paint_regions(photo, [Region(mask, wave)], night, RegionSettings(feather)).pixels
    yield paint_regions(photo, [Region(mask, None)], night, RegionSettings(15)).pixels


def protection() -> Iterable[np.ndarray]:
    """Yield the photo, its painting, and paintings with a face of growing strength."""
    photo = read(SAMPLES / "chelsea.jpg")
    mask = feathered(ellipse(photo, FACE), 30)
    yield photo.pixels
    for strength in (100, 60, 25, 0):
        yield paint_fast(protected(photo, mask, strength), find_styles("udnie"), FastSettings(detail=0)).pixels


def colours() -> Iterable[np.ndarray]:
    """Yield the photo, and what each choice of colours makes of it in the style of another photo."""
    photo, style = read(SAMPLES / "chelsea.jpg"), read(SAMPLES / "rocket.jpg")
    yield photo.pixels
    for choice in COLOR_CHOICES:
        yield coloured(photo, style, choice)


def coloured(photo: Picture, style: Picture, choice: str) -> np.ndarray:
    """Return a painting at once with one choice of colours."""
    if choice == COLORS_ONLY:
        return take_colours(photo, {style: 1.0}, BlendSettings()).pixels
    styles = {style: 1.0}
    if choice == PHOTOS_BEFORE:
        styles = with_photo_colours(styles, photo)
    fast = FastSettings(blend=BlendSettings(keep_colors=choice == PHOTOS))
    return paint_instantly(photo, styles, InstantSettings(fast=fast)).pixels


def colour_distances(photos: Sequence[Path], style_path: Path) -> None:
    """Print the mean distance of each choice's colours from the photo's and from the style's, times 255."""
    style = read(style_path, 384)
    print(f"{'colours':14}{'from photo':>12}{'from style':>12}")
    pictures = [read(path, 384) for path in photos]
    for choice in COLOR_CHOICES:
        distances = []
        for photo in pictures:
            result = ColourStatistics.of(Picture(np.ascontiguousarray(coloured(photo, style, choice))))
            distances.append([255 * result.distance(ColourStatistics.of(other)) for other in (photo, style)])
        print(f"{choice:14}" + "".join(f"{value:12.1f}" for value in np.mean(distances, axis=0)))


def read(path: Path, side: int = 0) -> Picture:
    """Return a photo, of at most ``side`` pixels a side unless that is 0."""
    with Image.open(path) as image:
        if side:
            image.thumbnail((side, side))
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
