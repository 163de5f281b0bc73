"""Split a picture into three opponent colours and octaves of frequencies, and join them again.

Each band has a grid that is just fine enough for it, so the coarser bands cost little.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST_FREQUENCY = 1 / 64  # in periods a pixel; below it are changes wider than any feature
# The bands are octaves; the first one is around this frequency and above, in periods a pixel.
BANDS, FIRST_BAND = 3, 1 / 4
# Brightness, red minus blue, and green minus both: nearly independent in natural pictures (Ohta, Kanade and Sakai 1980,
# "Color information for region segmentation").
COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))


@dataclass(frozen=True)
class FrequencyBand:
    """An octave of frequencies.

    Attributes:
        grid: height and width of its grid.
        move_weights, gradient_weights: the factors that take a move or a gradient of the picture into the band, by
            frequency in the order of torch.fft.rfft2 on the grid, [h, w // 2 + 1].
    """

    grid: tuple[int, int]
    move_weights: Tensor
    gradient_weights: Tensor


def frequency_bands(picture: Tensor, slope: float) -> list[FrequencyBand]:
    """Return the bands of a picture [1, 3, H, W] whose amplitudes are divided by ``frequency ** (-slope / 2)``."""
    height, width = picture.shape[-2:]
    down, right = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (down.square() + right.square()).sqrt().clamp(min=LOWEST_FREQUENCY)
    amplitudes = frequency.pow(-slope / 2)
    octave = (FIRST_BAND / frequency).log2().clamp(0, BANDS - 1)
    bands = []
    for band in range(BANDS):
        # Zero at an octave's distance and beyond, so the grid can hold the rest. The squares of the shares sum to 1.
        share = torch.cos((octave - band).clamp(-1, 1) * pi / 2)
        grid = (-(-height >> band), -(-width >> band))
        weights = (_low_frequencies(w, grid).to(picture) for w in (share / amplitudes, share * amplitudes))
        bands.append(FrequencyBand(grid, *weights))
    return bands


def split_move(move: Tensor, bands: list[FrequencyBand]) -> list[Tensor]:
    """Return a move of the picture, [1, 3, H, W], in the bands: [1, 3, h, w] each."""
    return _split(move, bands, [band.move_weights for band in bands])


def split_gradient(gradient: Tensor, bands: list[FrequencyBand]) -> list[Tensor]:
    """Return a gradient at the picture, [1, 3, H, W], in the bands: [1, 3, h, w] each."""
    return _split(gradient, bands, [band.gradient_weights for band in bands])


def join_bands(parts: list[Tensor], bands: list[FrequencyBand]) -> Tensor:
    """Return the move of the picture, [1, 3, H, W], that has these parts: the transpose of ``split_gradient``."""
    weighted = zip(parts, bands, strict=True)
    # The first grid is the picture's own.
    whole, *others = (torch.fft.rfft2(part, norm="ortho").mul_(band.gradient_weights) for part, band in weighted)
    for band, spectrum in zip(bands[1:], others, strict=True):
        for into, low in zip(_low_rows(whole, band.grid), _low_rows(spectrum, band.grid), strict=True):
            into.add_(low)
    return _rgb(torch.fft.irfft2(whole, s=bands[0].grid, norm="ortho"))


def _split(pixels: Tensor, bands: list[FrequencyBand], weights: list[Tensor]) -> list[Tensor]:
    spectrum = torch.fft.rfft2(_opponent_colours(pixels), norm="ortho")
    lows = (_low_frequencies(spectrum, band.grid) * weight for band, weight in zip(bands, weights, strict=True))
    return [torch.fft.irfft2(low, s=band.grid, norm="ortho") for low, band in zip(lows, bands, strict=True)]


def _low_frequencies(spectrum: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the frequencies that a grid of no more pixels can hold; the same tensor if it holds all."""
    if spectrum.shape[-2:] == (grid[0], grid[1] // 2 + 1):
        return spectrum
    return torch.cat(_low_rows(spectrum, grid), -2)


def _low_rows(spectrum: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the same frequencies as two views: the negative vertical frequencies come last."""
    rows, low = grid[0], spectrum[..., : grid[1] // 2 + 1]
    first = (rows + 1) // 2
    return low[..., :first, :], low[..., low.shape[-2] - (rows - first) :, :]


def _opponent_colours(pixels: Tensor) -> Tensor:
    """Return RGB [1, 3, H, W] as COLOURS of unit length, which are orthogonal."""
    return (_colour_matrix(pixels) @ pixels.flatten(2)).view_as(pixels)


def _rgb(pixels: Tensor) -> Tensor:
    """Invert ``_opponent_colours``."""
    return (_colour_matrix(pixels).T @ pixels.flatten(2)).view_as(pixels)


def _colour_matrix(pixels: Tensor) -> Tensor:
    return F.normalize(pixels.new_tensor(COLOURS))
