"""Give activations the statistics of a style: whitening and colouring, and a swap of patches in between.

Whitening and colouring is Li et al. 2017 (arXiv 1705.08086). The swap is style-swap (Chen and Schmidt 2016, arXiv
1612.04337) on whitened activations, as in Avatar-Net (Sheng et al. 2018, arXiv 1805.03857).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Eigenvalues below this share of the largest are dropped: their directions hold only noise.
SMALLEST_EIGENVALUE = 1e-5
# More for the swap, since whitening amplifies each direction to the same strength.
SMALLEST_SWAPPED_EIGENVALUE = 1e-4
# The share of the mean eigenvalue that is added to the covariance of the photo's activations. At the deepest level a
# photo has about as many places as channels. Its small eigenvalues are then chance, and whitening would amplify them to
# grain, grey skies and halos.
SHRINKAGE = 0.3
PATCH_SIDE = 3
MOST_PATCHES = 1200
# Scores of this many places and patches are in memory at once.
SCORES_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class StyleStatistics:
    """The statistics of a style picture's activations at one level.

    Attributes:
        mean: float32 [C].
        root: the square root of the covariance, float32 [C, C].
        whitened: the whitened activations, float32 [C, h, w], at the levels where patches are swapped, else None.
    """

    mean: np.ndarray
    root: np.ndarray
    whitened: np.ndarray | None = None


def measure_style(features: np.ndarray, swapped: bool) -> StyleStatistics:
    """Measure the statistics of activations, float32 [C, h, w]."""
    mean, values, vectors = _spectrum(features)
    root = _power(values, vectors, 0.5, SMALLEST_EIGENVALUE)
    whitened = None
    if swapped:
        # Half precision, as in the cache, so a style from the cache paints the same bits.
        whitening = _power(values, vectors, -0.5, SMALLEST_SWAPPED_EIGENVALUE)
        whitened = _whitened(features, mean, whitening).astype(np.float16).astype(np.float32)
    return StyleStatistics(mean, root, whitened)


def transform(
    features: np.ndarray, style: StyleStatistics, swap: np.ndarray | None = None, shrinkage: float = SHRINKAGE
) -> np.ndarray:
    """Return activations [C, h, w] with the mean and, without ``shrinkage``, the covariance of the style.

    ``swap``, [h, w] in 0..1, is how far each place is replaced by the style's patches that resemble it most.
    """
    mean, values, vectors = _spectrum(features)
    whitening = _power(values + shrinkage * values.mean(), vectors, -0.5, SMALLEST_EIGENVALUE)
    if swap is None or style.whitened is None or not swap.any():
        matrix = style.root @ whitening
        coloured, offset = matrix @ features.reshape(len(features), -1), style.mean - matrix @ mean
    else:
        white = _whitened(features, mean, whitening)
        white += swap * (swap_patches(white, style.whitened) - white)
        coloured, offset = style.root @ white.reshape(len(white), -1), style.mean
    coloured += offset[:, None]
    result: np.ndarray = coloured.reshape(features.shape)
    return result


def swap_patches(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Replace each 3x3 patch of ``content`` [C, h, w] by the patch of ``style`` with the largest cosine to it.

    Overlapping patches are averaged. A style of fewer than 3x3 places is enlarged by its reflection.
    """
    height, width = content.shape[1:]
    style = np.pad(style, [(0, 0), *((0, max(0, PATCH_SIDE - extent)) for extent in style.shape[1:])], mode="symmetric")
    step = _step(style.shape[1], style.shape[2])
    # By place, so a patch's channels lie together.
    middles_y, middles_x = (np.arange(1, extent - 1, step) for extent in style.shape[1:])
    style_places = np.ascontiguousarray(style.transpose(1, 2, 0))
    patches = _patches(style_places, middles_y, middles_x)
    patches /= np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), 1e-8)
    padded = np.ascontiguousarray(np.pad(content, [(0, 0), (1, 1), (1, 1)], mode="symmetric").transpose(1, 2, 0))
    nearest = np.empty((height, width), np.int64)
    for rows in _row_bands(height, width, len(patches)):
        own = _patches(padded, np.arange(rows.start, rows.stop) + 1, np.arange(width) + 1)
        nearest[rows] = (own @ patches.T).argmax(1).reshape(-1, width)
    down, across = middles_y[nearest // len(middles_x)], middles_x[nearest % len(middles_x)]
    total = np.zeros((height, width, len(content)), np.float32)
    for y, x in np.ndindex(PATCH_SIDE, PATCH_SIDE):
        # The patch whose middle is at (row + y - 1, column + x - 1) covers this place too.
        rows, columns = (
            np.clip(np.arange(extent) + shift - 1, 0, extent - 1) for extent, shift in ((height, y), (width, x))
        )
        total += style_places[down[np.ix_(rows, columns)] + 1 - y, across[np.ix_(rows, columns)] + 1 - x]
    total /= PATCH_SIDE**2
    return total.transpose(2, 0, 1)


def _spectrum(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean [C], and the eigenvalues [C] and eigenvectors [C, C] of the covariance, of [C, h, w]."""
    flat = features.reshape(len(features), -1)
    mean = flat.mean(1, dtype=np.float64)
    centred = flat - mean.astype(np.float32)[:, None]
    covariance = (centred @ centred.T).astype(np.float64) / flat.shape[1]
    values, vectors = np.linalg.eigh(covariance)
    return mean.astype(np.float32), values, vectors


def _power(values: np.ndarray, vectors: np.ndarray, exponent: float, smallest: float) -> np.ndarray:
    """Return a power of a covariance, float32 [C, C], without the directions of the smallest eigenvalues."""
    kept = values > max(smallest * values[-1], 1e-12)
    powers = np.where(kept, np.maximum(values, 1e-12) ** exponent, 0.0)
    matrix: np.ndarray = ((vectors * powers) @ vectors.T).astype(np.float32)
    return matrix


def _whitened(features: np.ndarray, mean: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    white: np.ndarray = (whitening @ (features.reshape(len(features), -1) - mean[:, None])).reshape(features.shape)
    return white


def _patches(places: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the 3x3 patches of [h, w, C] with their middles in ``rows`` and ``columns``: [rows * columns, 9 * C]."""
    parts = [places[np.ix_(rows + y - 1, columns + x - 1)] for y, x in np.ndindex(PATCH_SIDE, PATCH_SIDE)]
    return np.concatenate(parts, axis=2).reshape(len(rows) * len(columns), -1)


def _step(height: int, width: int) -> int:
    """Return the step between the middles of patches that leaves at most MOST_PATCHES of them."""
    step = 1
    while len(range(1, height - 1, step)) * len(range(1, width - 1, step)) > MOST_PATCHES:
        step += 1
    return step


def _row_bands(height: int, width: int, patches: int) -> Iterator[slice]:
    rows = max(1, SCORES_AT_ONCE // (width * patches))
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))
