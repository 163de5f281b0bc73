"""Give a picture the colours of another one: the linear Monge-Kantorovich map of their colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.picture import Picture, network_input

# Added to the variances, for colours in 0..1: half of one of 256 steps. A picture of one colour then has a map too.
RIDGE_VARIANCE = (0.5 / 255) ** 2


@dataclass(frozen=True, eq=False)
class ColourStatistics:
    """The mean, float64 [3], and the covariance, float64 [3, 3], of a picture's sRGB-encoded colours."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, picture: Picture) -> ColourStatistics:
        """Measure a picture; transparent pixels count as its mean visible colour."""
        colours = network_input(picture).reshape(-1, 3).astype(np.float64)
        mean = colours.mean(0)
        centred = colours - mean
        return cls(mean, centred.T @ centred / len(colours) + RIDGE_VARIANCE * np.eye(3))

    @classmethod
    def of_mixture(cls, shares: Mapping[Picture, float]) -> ColourStatistics:
        """Measure pictures and average them by their shares, which sum to 1."""
        parts = [(cls.of(picture), share) for picture, share in shares.items()]
        mean = np.sum([share * part.mean for part, share in parts], axis=0)
        return cls(mean, np.sum([share * part.covariance for part, share in parts], axis=0))

    def distance(self, other: ColourStatistics) -> float:
        """Return the Wasserstein-2 distance of two Gaussians with these means and covariances (Olkin 1982)."""
        root = _root(self.covariance)
        cross = np.trace(_root(root @ other.covariance @ root))
        spread = np.trace(self.covariance) + np.trace(other.covariance) - 2 * cross
        return float(np.sqrt(max(0.0, np.square(self.mean - other.mean).sum() + spread)))


def with_colours_of(picture: Picture, reference: ColourStatistics) -> Picture:
    """Return the picture with the mean and the covariance of ``reference``, before colours outside 0..1 are clipped.

    Of all linear maps with this result it moves the colours least (Pitié and Kokaram, "The linear Monge-Kantorovitch
    linear colour mapping for example-based colour transfer", 2007, eq. 4).
    """
    own = ColourStatistics.of(picture)
    root = _root(own.covariance)
    inverse = np.linalg.inv(root)
    matrix = (inverse @ _root(root @ reference.covariance @ root) @ inverse).astype(np.float32)
    offset = (reference.mean - matrix.astype(np.float64) @ own.mean).astype(np.float32)
    rgb, pixels = network_input(picture), np.empty_like(picture.pixels)

    def apply(rows: slice) -> None:
        pixels[rows, :, :3] = np.clip(rgb[rows] @ matrix.T + offset, 0.0, 1.0)
        pixels[rows, :, 3] = picture.pixels[rows, :, 3]

    in_threads(apply, bands(picture.height, picture.width))
    return replace(picture, values=pixels)


def with_photo_colours(pictures: Mapping[Picture, float], photo: Picture) -> dict[Picture, float]:
    """Return style pictures with the photo's colours, and their shares: their paintings keep the photo's colours."""
    colours = ColourStatistics.of(photo)
    return {with_colours_of(picture, colours): share for picture, share in pictures.items()}


def _root(matrix: np.ndarray) -> np.ndarray:
    """Return the square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
