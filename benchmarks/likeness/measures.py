"""Measure paintings of fixed photos in one style: faces, content, style, colour, artefacts, steadiness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from benchmarks.likeness.faces import is_kept, largest_face
from benchmarks.quality.style_subjects import StyleSubject
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.features.network import FeatureNetwork
from nst_core.losses.functional import centred_gram_matrix, gram_matrix, style_loss
from nst_core.losses.metrics import appearance, colour_distance, local_patterns
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_array, as_tensor
from nst_core.pictures.face_crops import Box
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import Style
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.picture import Picture

SIDE = 512  # pixels: the longer side of photos and paintings
CONTENT_LAYERS = ("relu3_1", "relu4_1")
PATTERN_LAYER = "relu4_1"
STEADY_NOISE = 2 / 255  # standard deviation of the noise that steadiness is measured with
OBJECTIVE_SIDE = 256  # as in the benchmark of quality


@dataclass(frozen=True, eq=False)
class FacePhoto:
    """A photo, uint8 [H, W, 3], with its largest face."""

    name: str
    pixels: np.ndarray
    face: Box


@dataclass(frozen=True, eq=False)
class MeasuredPhoto:
    """A photo, [1, 3, H, W] in 0..1, with its features at the content layers and its Gram matrices by layer."""

    picture: Tensor
    content: dict[str, Tensor]
    grams: dict[str, Tensor]


def face_photo(name: str, photo: Tensor) -> FacePhoto | None:
    """Return a photo, [1, 3, H, W] in 0..1, with its largest face at SIDE pixels; None if it has none."""
    pixels = as_pixels(resized_to_long_side(photo, SIDE))
    face = largest_face(pixels)
    return None if face is None else FacePhoto(name, pixels, face)


def measured_photo(photo: Tensor, network: FeatureNetwork) -> MeasuredPhoto:
    """Return a photo, [1, 3, H, W] in 0..1, with its features and Gram matrices, to compare paintings with."""
    picture = resized_to_long_side(photo, SIDE).clamp(0, 1)
    features = _features(network, picture)
    grams = {layer: gram_matrix(features[layer]) for layer in GATYS_STYLE_LAYERS}
    return MeasuredPhoto(picture, {layer: features[layer] for layer in CONTENT_LAYERS}, grams)


def paint(style: Style, photo: Tensor, detail: float | None) -> Tensor:
    """Paint a photo, [1, 3, H, W] in 0..1, at its own size: [1, 3, H, W] in 0..1."""
    pixels = photo[0].permute(1, 2, 0).numpy()
    picture = Picture(np.dstack([pixels, np.ones_like(pixels[..., :1])]))
    settings = FastSettings(full_resolution=True, detail=detail, device="cpu")
    painted = paint_fast(picture, {style: 1.0}, settings).pixels[..., :3]
    return torch.from_numpy(np.ascontiguousarray(painted.transpose(2, 0, 1)))[None]


def count_faces(style: Style, photos: Sequence[FacePhoto], detail: float | None) -> int:
    """Return how many of the faces survive."""
    paintings = ((photo, paint(style, as_tensor(photo.pixels).float() / 255, detail)) for photo in photos)
    return sum(is_kept(as_pixels(painting), photo.face) for photo, painting in paintings)


class StyleMeasures:
    """The measures of one style's paintings; ``subject`` provides its painting and its training objective."""

    def __init__(self, subject: StyleSubject) -> None:
        self._style, self._network = subject.style, subject.features
        painting = resized_to_long_side(subject.painting, SIDE).clamp(0, 1)
        features = _features(self._network, painting)
        self._painting, self._patterns = painting, features[PATTERN_LAYER]
        self._grams = {layer: gram_matrix(features[layer]) for layer in GATYS_STYLE_LAYERS}
        self._objective = Objective(self._network, subject.objective, [subject.style_picture])
        trained = _features(self._network, subject.style_picture)
        self._weights = subject.objective.weights_by_layer
        self._means = {layer: trained[layer].mean((2, 3), keepdim=True) for layer in self._weights}
        self._centred = {layer: centred_gram_matrix(trained[layer], mean) for layer, mean in self._means.items()}

    def of_photo(self, photo: MeasuredPhoto, detail: float | None) -> dict[str, float]:
        """Return the measures of the painting of one photo.

        - ``content``: ||F - P|| / ||P|| of the features of painting and photo, the mean over CONTENT_LAYERS.
        - ``plain_style``: ||G - A|| / ||P - A|| of the plain Gram matrices of painting, style picture and photo, the
          mean over Gatys' five layers.
        - ``centred_style``: the style loss of training, with Gram matrices centred on the style's mean.
        - ``colour``: ``colour_distance`` to the style picture.
        - ``patterns`` and ``patterns_used``: ``local_patterns`` at PATTERN_LAYER.
        - ``appearance`` against the photo.
        """
        painting = paint(self._style, photo.picture, detail)
        features = _features(self._network, painting)
        grams = {layer: gram_matrix(features[layer]) for layer in GATYS_STYLE_LAYERS}
        patterns, used = local_patterns(features[PATTERN_LAYER], self._patterns)
        return {
            "content": fmean(_relative(features[layer], value, value) for layer, value in photo.content.items()),
            "plain_style": fmean(
                _relative(grams[layer], target, target - photo.grams[layer]) for layer, target in self._grams.items()
            ),
            "centred_style": self._centred_style(features),
            "colour": colour_distance(painting[0], self._painting[0]),
            "patterns": patterns,
            "patterns_used": used,
            **appearance(painting[0], photo.picture[0]),
        }

    def _centred_style(self, features: dict[str, Tensor]) -> float:
        grams = {layer: centred_gram_matrix(features[layer], mean) for layer, mean in self._means.items()}
        return style_loss(grams, self._centred, self._weights).item()

    def unsteadiness(self, photo: MeasuredPhoto, detail: float | None, seed: int) -> float:
        """Return the mean absolute difference of two paintings of a photo with different noise, in 8-bit levels."""
        noise = torch.Generator().manual_seed(seed)
        noisy = [
            (photo.picture + STEADY_NOISE * torch.randn(photo.picture.shape, generator=noise)).clamp(0, 1)
            for _ in range(2)
        ]
        first, second = (paint(self._style, picture, detail) for picture in noisy)
        return (first - second).abs().mean().item() * 255

    def objective(self, photo: Tensor, detail: float | None) -> float:
        """Return the training objective of the painting of a photo, [1, 3, H, W] in 0..1, at OBJECTIVE_SIDE pixels."""
        small = resized_to_long_side(photo, OBJECTIVE_SIDE).clamp(0, 1)
        painting = paint(self._style, small, detail)
        with torch.no_grad():
            return self._objective(painting, self._objective.content_targets(small))["total"].item()


def as_pixels(picture: Tensor) -> np.ndarray:
    """Return [1, 3, H, W] in 0..1 as uint8 [H, W, 3]."""
    return as_array((picture.clamp(0, 1) * 255).round().byte())


@torch.no_grad()
def _features(network: FeatureNetwork, picture: Tensor) -> dict[str, Tensor]:
    features: dict[str, Tensor] = network(picture, {*CONTENT_LAYERS, *GATYS_STYLE_LAYERS})
    return features


def _relative(value: Tensor, target: Tensor, size: Tensor) -> float:
    return float((value - target).norm() / size.norm().clamp_min(1e-8))
