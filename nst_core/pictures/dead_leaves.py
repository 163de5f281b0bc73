"""Draw random training pictures, for users without photos.

Shapes of all sizes that cover one another have edges and spectra similar to those of photos (Lee, Mumford and Huang
2001, "Occlusion Models for Natural Images"). Light and grain vary over each picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

SHAPES = (20, 260)  # a small number leaves plain areas, such as a sky
RADII = (0.01, 0.6)  # as shares of the side
# Pictures are drawn this much larger and scaled down, for smooth edges.
OVERSAMPLING = 2
CORNERS = (3, 9)


class DeadLeaves:
    """An endless source of training pictures (see ``photos.PictureSource``)."""

    skipped: Sequence[str] = ()

    def __len__(self) -> int:
        """Return 0: there are no photos."""
        return 0

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = 0.6, part: slice = slice(None)
    ) -> Tensor:
        """Return the pictures of a step, float32 [count, 3, size, size] in 0..1, or a ``part`` of them.

        ``seed`` and ``step`` alone decide them. ``least`` has no effect: nothing is cropped here.
        """
        pictures = [draw(size, np.random.default_rng([seed, step, number])) for number in range(count)[part]]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def draw(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one picture, float32 [size, size, 3] in 0..1."""
    side = size * OVERSAMPLING
    # Related colours, as in a photo under one light: around a mean, and mostly lighter or darker than it.
    mean, main = _muted(rng.uniform(0.15, 0.85), 0.1, rng), _muted(rng.uniform(0.1, 0.3), 0.06, rng)
    canvas = Image.new("RGB", (side, side), _colour(mean, main, rng))
    pen = ImageDraw.Draw(canvas)
    # The logarithms of the radii are uniform. Large shapes come first, since they would hide the others.
    for radius in np.sort(side * np.exp(rng.uniform(np.log(RADII[0]), np.log(RADII[1]), rng.integers(*SHAPES))))[::-1]:
        _leaf(pen, rng.uniform(0, side, 2), radius, _colour(mean, main, rng), rng)
    picture = np.asarray(canvas.resize((size, size), Image.Resampling.BOX), np.float32) / 255
    shaded: np.ndarray = np.clip(picture * _shading(size, rng) + _grain(size, rng), 0, 1).astype(np.float32)
    return shaded


def _muted(value: float, chroma: float, rng: np.random.Generator) -> np.ndarray:
    return value + rng.normal(0, chroma, 3)


def _colour(mean: np.ndarray, main: np.ndarray, rng: np.random.Generator) -> tuple[int, ...]:
    colour = mean + rng.normal() * main + rng.normal(0, 0.05, 3)
    return tuple(int(v) for v in np.clip(colour * 255, 0, 255))


def _leaf(
    pen: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, colour: tuple[int, ...], rng: np.random.Generator
) -> None:
    """Draw an ellipse or an irregular polygon whose length is 1 to 4 times its width."""
    corners = 40 if rng.random() < 0.4 else int(rng.integers(*CORNERS))
    around = np.sort(rng.uniform(0, 2 * np.pi, corners)) if corners < 40 else np.linspace(0, 2 * np.pi, corners)
    outline = np.stack([np.cos(around), np.sin(around) / rng.uniform(1, 4)])
    turn = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pen.polygon([tuple(point) for point in (rotation @ outline * radius).T + centre], colour)


def _shading(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return light that changes slowly over the picture, around 1: [size, size, 1]."""
    coarse = rng.normal(1, 0.2, (4, 4)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(smooth)[..., None]


def _grain(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return fine texture in some places and none in others, around 0: [size, size, 1]."""
    places = Image.fromarray(rng.uniform(-0.06, 0.08, (5, 5)).astype(np.float32))
    strength = np.asarray(places.resize((size, size), Image.Resampling.BICUBIC)).clip(0)
    return (strength * rng.normal(size=(size, size)))[..., None]
