"""Choose the methods that are compared, their feature networks and their pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import classic
from benchmarks.measuring.pictures import read_picture_tensor
from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings
from nst_core.base.presets import PRESETS
from nst_core.features.catalogue import load_features
from nst_core.features.layers import VGG19_TO_CONV5_1, torchvision_keys
from nst_core.iterative.render import IterativeProgress, render
from nst_core.iterative.stages import plan_stages

BEST_FEATURES = ("vgg19_conv1_1-conv3_4_caffe.safetensors", "vgg19_distilled16x_conv5_1.safetensors")
SAMPLE_FOLDER = Path(__file__).parents[2] / "plugin" / "samples"
CLASSIC, PLAIN = "classic L-BFGS", "plain L-BFGS"


@dataclass(frozen=True)
class Method:
    """A way to render a picture.

    Attributes:
        features: the feature network, as for ``load_features``.
        render: a function with the signature of ``nst_core.iterative.render.render``.
    """

    features: str
    settings: IterativeSettings
    render: Callable[..., IterativeProgress] = render


@dataclass(frozen=True)
class Pictures:
    """The files of a photo and a painting."""

    photo: Path
    painting: Path


@dataclass(frozen=True)
class RenderJob:
    """A method that paints a photo at one size in pixels on one device."""

    method: Method
    pictures: Pictures
    size: int
    device: torch.device

    def run(self, iterations: int, progress: Callable[[IterativeProgress], bool]) -> None:
        """Render at this size alone, with the optimiser that does most iterations, so all iterations are alike."""
        method = self.method
        features = load_features(method.features).to(self.device)
        photo = read_picture_tensor(self.pictures.photo, self.device)
        optimizer = plan_stages(features, method.settings, *photo.shape[-2:])[-1].optimizer
        settings = replace(method.settings, size=self.size, coarsest=0, iterations=iterations, optimizer=optimizer)
        painting = read_picture_tensor(self.pictures.painting, self.device)
        method.render(photo, painting, features, settings, progress)


def choose_methods(features: str, iterations: int, precision: str) -> dict[str, Method]:
    """Return the methods of the race by name.

    Args:
        features: of all methods except ``compact``, as for ``load_features``.
        iterations: of plain L-BFGS.
        precision: of all methods except the classic one, which computes in float32.
    """
    default = replace(PRESETS["default"].settings, precision=precision)
    plain = replace(
        PLAIN_SETTINGS,
        objective=default.objective,
        optimizer="lbfgs",
        iterations=iterations,
        precision=precision,
    )
    return {
        CLASSIC: Method(features, replace(plain, precision="float32"), classic.render),
        PLAIN: Method(features, plain),
        "default": Method(features, default),
        "compact": Method("compact", default),
    }


def choose_pictures(assets: Path | None, photo: Path | None, painting: Path | None) -> Pictures:
    """Return the given files, with defaults from ``assets`` or our samples."""
    if assets:
        default = Pictures(assets / "photos/eval/tubingen.jpg", assets / "styles/starry_night.jpg")
    else:
        default = Pictures(SAMPLE_FOLDER / "coffee.jpg", SAMPLE_FOLDER / "chelsea.jpg")
    return Pictures(photo or default.photo, painting or default.painting)


def best_features(assets: Path) -> str:
    """Return the features in ASSETS/weights that are nearest to VGG-19, for ``load_features``."""
    return "+".join(str(assets / "weights" / file) for file in BEST_FEATURES)


def random_vgg19() -> dict[str, Tensor]:
    """Draw weights in the shape of VGG-19 to conv5_1, with torchvision's names: only shapes matter for the time."""
    state, channels_in = {}, 3
    for layer, key in torchvision_keys(VGG19_TO_CONV5_1).items():
        channels_out = 64 * 2 ** min(layer.block - 1, 3)
        state[f"{key}.weight"] = torch.randn(channels_out, channels_in, 3, 3) * (2 / (channels_in * 9)) ** 0.5
        state[f"{key}.bias"] = torch.zeros(channels_out)
        channels_in = channels_out
    return state
