"""Metrics that compare a result with its photo and its style picture.

Pictures are [3, H, W] unless stated otherwise, RGB, sRGB-encoded 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.features.network import FeatureNetwork
from nst_core.losses.functional import EPSILON, LEVEL
from nst_core.losses.loss_kernels import blocked_gram_matrix

BLOCK = 32  # pixels: the side of the blocks in which ``mesh`` looks for a checkerboard
FLAT_SHARE = 0.25
STRIP = 4  # pixels: the width of the border
SMALLEST_METRIC_SIDE = 48  # pixels: below, there is too little for the checkerboard and the border to measure
QUANTILES = 256
WINDOW = 11  # pixels: the side of SSIM's window

# Linear sRGB to the responses of three cones, and their cube roots to L, a, b (Ottosson 2020, "A perceptual color
# space for image processing", bottosson.github.io/posts/oklab).
CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
# The edges, face diagonals and space diagonals of a cube.
COLOUR_AXES = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)]


class PictureMetrics:
    """The metrics of results that were painted from one photo and one style picture.

    ``photo`` and ``style`` are [1, 3, h, w]; a result has the photo's size. Either list of layers may be empty, and
    there may be no style. The metrics:

    - ``content``: ||F - P|| / ||P|| of the features F of the result and P of the photo, averaged over
      ``content_layers``: 0 is the photo.
    - ``style_LAYER`` for each of ``style_layers``: ||G - A|| / ||P - A|| of the Gram matrices G of the result, A of the
      style picture and P of the photo: 0 is the style, 1 the photo. To compare results of different settings, these are
      Gatys' plain Gram matrices whatever the objective was.
    - ``colour_photo`` and ``colour_style``: ``colour_distance`` from each of the two.
    - ``appearance`` against the photo.

    Raises StyleError if the network lacks a layer.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        photo: Tensor,
        style: Tensor | None,
        content_layers: Sequence[str],
        style_layers: Sequence[str],
    ) -> None:
        self._network, _ = network.condensed()  # which has the same distances
        self._photo, self._style = photo, style
        self._content_layers, self._style_layers = content_layers, style_layers
        self._content, self._grams = self._features_and_grams(photo)
        self._style_grams = {} if style is None else self._features_and_grams(style)[1]

    @torch.no_grad()
    def __call__(self, result: Tensor) -> dict[str, float]:
        """Compute the metrics of ``result`` ([1, 3, H, W]) by the names above."""
        content, grams = self._features_and_grams(result)
        distances = [_distance(content[layer], target) / _size(target) for layer, target in self._content.items()]
        metrics = {"content": sum(distances) / len(distances)} if distances else {}
        for layer, target in self._style_grams.items():
            metrics[f"style_{layer}"] = _distance(grams[layer], target) / _distance(self._grams[layer], target)
        picture, photo = result[0].float().cpu(), self._photo[0].float().cpu()
        metrics["colour_photo"] = colour_distance(picture, photo)
        if self._style is not None:
            metrics["colour_style"] = colour_distance(picture, self._style[0].float().cpu())
        return metrics | appearance(picture, photo)

    @torch.no_grad()
    def _features_and_grams(self, image: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Compute the features at the content layers, and the Gram matrices at the style layers."""
        features = self._network(image, {*self._content_layers, *self._style_layers})
        content = {layer: features[layer] for layer in self._content_layers}
        return content, {layer: blocked_gram_matrix(features[layer]) for layer in self._style_layers}


def _size(value: Tensor) -> float:
    return max(float(value.norm().item()), EPSILON)


def _distance(a: Tensor, b: Tensor) -> float:
    return _size(a - b)


def appearance(result: Tensor, photo: Tensor) -> dict[str, float]:
    """Compute the metrics that need no feature network: ``ssim`` of the luminance, ``checkerboard`` and ``border``.

    The last two need sides of SMALLEST_METRIC_SIDE pixels, and ``ssim`` of WINDOW pixels; otherwise they are left out.
    """
    result, photo, metrics = result.cpu(), photo.cpu(), dict[str, float]()
    if min(photo.shape[1:]) >= WINDOW:
        metrics["ssim"] = ssim(luminance(result), luminance(photo))
    if min(photo.shape[1:]) >= SMALLEST_METRIC_SIDE:
        metrics |= {"checkerboard": checkerboard(result, photo), "border": border(result, photo)}
    return metrics


def colour_distance(a: Tensor, b: Tensor) -> float:
    """Compute how far the colours of two pictures differ, wherever they lie: 0 for the same, 1 for black and white.

    The sliced Wasserstein distance (Rabin et al. 2012) in OKLab: both pictures' colours are projected on COLOUR_AXES,
    along each the mean distance between equal quantiles is taken, and their average is divided by that of black and
    white. The pictures may differ in size.
    """
    directions = F.normalize(torch.tensor(COLOUR_AXES, dtype=torch.float32), dim=1)
    at = (torch.arange(QUANTILES) + 0.5) / QUANTILES
    quantiles = []
    for picture in (a, b):
        along = (directions @ oklab(picture).flatten(1)).sort(1).values
        quantiles.append(along[:, (at * along.shape[1]).long()])
    return ((quantiles[0] - quantiles[1]).abs().mean() / directions[:, 0].abs().mean()).item()


def oklab(picture: Tensor) -> Tensor:
    """Convert to OKLab, where distances match what people see: lightness 0..1 and two of about -0.4..0.4, [3, H, W]."""
    linear = torch.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    cones = torch.einsum("dc,chw->dhw", picture.new_tensor(CONES), linear)
    return torch.einsum("dc,chw->dhw", picture.new_tensor(LAB), cones.clamp_min(0) ** (1 / 3))


def checkerboard(result: Tensor, photo: Tensor) -> float:
    """Compute the share of patterns with a period of two or four pixels in flat areas: 0 for none, at most 1.

    This is ``mesh`` in the FLAT_SHARE of the picture where ``photo`` varies least. Both are [3, H, W] in 0..1, at
    least BLOCK pixels a side.
    """
    return max(0.0, mesh(result[None], photo[None], FLAT_SHARE).item())


def mesh(result: Tensor, photo: Tensor, flat_share: float) -> Tensor:
    """Compute the share of patterns with a period of two or four pixels in the energy of flat areas: [N].

    Upsampling twice by two leaves patterns with frequencies in x and y near multiples of a quarter of a cycle per pixel
    (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"), while the spectrum of strokes and grain falls
    smoothly. So this takes the energy around those fifteen frequencies beyond what a smooth spectrum would have there,
    and divides it by all energy except that of the mean and the slowest change. The smooth spectrum is the geometric
    mean over a ring around each frequency, since the logarithm of a power law of frequency is harmonic.

    The spectrum is the mean periodogram of overlapping blocks under a Hann window (Welch 1967), over the ``flat_share``
    of the blocks where ``photo`` varies least. A pattern below an 8-bit level cannot be seen and counts little.

    The result is at most 1, and a little below 0 where these frequencies have less energy than those around them. It
    has a gradient. Both batches are [N, 3, H, W] in 0..1, float32, at least BLOCK pixels a side.
    """
    flatness = blocks(photo).var((3, 4)).sum(1)
    flattest = flatness.argsort(1)[:, : max(1, round(flat_share * flatness.shape[1]))]
    rows = torch.arange(len(result), device=result.device)[:, None]
    flat = blocks(result).transpose(1, 2)[rows, flattest]  # [N, blocks, 3, BLOCK, BLOCK]
    window = torch.hann_window(BLOCK, device=result.device)
    window = window[:, None] * window
    windowed = (flat - flat.mean((3, 4), keepdim=True)) * window
    # Scaled to sum to the variance in a block, of the three channels together.
    spectrum = torch.fft.fft2(windowed).abs().square().sum(2).mean(1) / (BLOCK**4 * window.square().mean())
    # The 7x7 bins around each of the sixteen frequencies, including the mean: [N, 4, 4, 7, 7].
    around = F.pad(spectrum[:, None], (3,) * 4, mode="circular")[:, 0].unfold(1, 7, BLOCK // 4)
    around = around.unfold(2, 7, BLOCK // 4)
    inside = around[..., 1:6, 1:6]
    logarithms = around.clamp_min(1e-12).log()
    ring = logarithms.sum((3, 4)) - logarithms[..., 1:6, 1:6].sum((3, 4))
    smooth = (ring / (7**2 - 5**2)).exp()
    excess = (inside - smooth[..., None, None]).sum((3, 4))
    slow = around[:, 0, 0, 2:5, 2:5].sum((1, 2))
    share: Tensor = (excess.sum((1, 2)) - excess[:, 0, 0]) / (spectrum.sum((1, 2)) - slow + LEVEL**2)
    return share


def blocks(picture: Tensor) -> Tensor:
    """Cut [N, 3, H, W] into blocks that overlap by half: [N, 3, n, BLOCK, BLOCK]."""
    overlapping: Tensor = picture.unfold(2, BLOCK, BLOCK // 2).unfold(3, BLOCK, BLOCK // 2)
    return overlapping.flatten(2, 3)


def border(result: Tensor, photo: Tensor) -> float:
    """Compute how far the outermost pixels differ from those inside: up to 1 as lines inside do, more for a halo.

    Each side is measured by ``jump``, in the result and in the change from the photo to the result, and the smaller
    value counts: a halo shows in both, but a frame of the photo in only one of them, whether the style kept it or not.
    The metric is the root mean square over the sides.

    Both pictures are [3, H, W] in 0..1, at least 12 STRIP pixels a side.
    """
    squares = [min(jump(picture, side) for picture in (result, result - photo)) for side in range(4)]
    return math.sqrt(sum(squares) / 4)


def jump(picture: Tensor, side: int) -> float:
    """Compute how far a side (0 to 3) of [3, H, W] differs from what is inside, relative to differences there; squared.

    The mean and the standard deviation of each channel are taken in strips of STRIP pixels, from the border to the
    middle, and each strip is compared with the mean of the next two. The square of this difference for the outermost
    strip is divided by the mean of the squares from the third strip on, since a halo may be two strips wide, and
    averaged over the channels, mean and deviation. Differences below an 8-bit level cannot be seen and count little.
    """
    rotated = torch.rot90(picture, side, (1, 2))
    count = rotated.shape[1] // 2 // STRIP
    parts = rotated[:, : count * STRIP].unflatten(1, (count, STRIP))
    strips = torch.cat([parts.mean((2, 3)), parts.std((2, 3))])
    steps = (strips[:, :-2] - (strips[:, 1:-1] + strips[:, 2:]) / 2).square()
    return (steps[:, 0] / (steps[:, 2:].mean(1) + LEVEL**2)).mean().item()


def local_patterns(result: Tensor, style: Tensor) -> tuple[float, float]:
    """Compute how well a result's small patterns resemble patterns of the style picture (Wang et al. 2021).

    Both are features of one layer, [1, C, h, w]; a pattern is a patch of 3x3 positions. Returns the mean cosine of each
    pattern of the result with the nearest one of the style, and the share of the style's patterns that are the nearest
    of some pattern: a result that repeats one brushstroke uses few. (Wang, Zhao et al., "Evaluate and improve the
    quality of neural style transfer".)
    """
    own, others = (F.normalize(F.unfold(features.float(), 3)[0], dim=0) for features in (result, style))
    similarity, nearest = (own.T @ others).max(1)
    return similarity.mean().item(), len(nearest.unique()) / others.shape[1]


def luminance(picture: Tensor) -> Tensor:
    """Compute the luma (ITU-R BT.601) of [3, H, W]: [H, W]."""
    return torch.einsum("chw,c->hw", picture, picture.new_tensor([0.299, 0.587, 0.114]))


def ssim(a: Tensor, b: Tensor) -> float:
    """Compute the mean structural similarity of two pictures [H, W] in 0..1: 1 for equal ones.

    The window, a Gaussian of deviation 1.5 within WINDOW x WINDOW pixels, and the constants are those of Wang et al.
    2004.
    """
    a, b = a.double(), b.double()  # the variances are small differences
    line = torch.exp(-(torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2).square() / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values[None, None], window)

    mean_a, mean_b, c1, c2 = mean(a), mean(b), 0.01**2, 0.03**2
    covariance = mean(a * b) - mean_a * mean_b
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    values = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (values / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean().item()
