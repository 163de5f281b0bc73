"""Start a decoder for ``compact`` from another encoder's decoder, by ridge regression.

Decoders learn slowly from random weights. Those of Wang et al. 2020 (arXiv 2003.08436) have the same shape except for
the first convolution, which takes the channels of another encoder. It is replaced by the affine map of 3x3 patches of
our features that comes closest to its output over some photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.features.layers import Layer
from nst_core.features.vgg import VGGNetwork
from nst_core.instant.decoder import Decoder, layer_of

WARM_START_RIDGE = 1e-4  # of the mean square of the inputs
PATCHES_PER_PHOTO = 4096


def start_from_decoder(
    decoder: Decoder,
    encoder: VGGNetwork,
    teacher: Mapping[str, Tensor],
    teacher_encoder: VGGNetwork,
    photos: Iterable[Tensor],
) -> None:
    """Give ``decoder`` the weights of ``teacher`` (``conv51.weight`` …), and fit its first convolution to ``photos``.

    The photos are float32 [1, 3, H, W] in 0..1. Raises StyleError if ``teacher`` has another shape.
    """
    steps = decoder.steps
    first = next(iter(steps))
    layer = layer_of(decoder.level)
    weights = {name: _weights(teacher, name) for name in steps}
    try:
        with torch.no_grad():
            for name, convolution in steps.items():
                if name != first:
                    convolution.weight.copy_(weights[name][0])
                    cast(Tensor, convolution.bias).copy_(weights[name][1])
    except RuntimeError as error:
        raise StyleError("The decoder to start from has another shape; give one of the slim decoders.") from error

    def pair(photo: Tensor) -> tuple[Tensor, Tensor]:
        features = teacher_encoder(photo, [layer])[layer]
        return encoder(photo, [layer])[layer], F.conv2d(_reflected(features), *weights[first])

    _fit(steps[first], pair, photos)


def start_from_photos(decoder: Decoder, encoder: VGGNetwork, photos: Iterable[Tensor]) -> None:
    """Fit the last convolution of a ``decoder`` with random weights to ``photos``, as in ``start_from_decoder``.

    At level 1, which has only one more convolution, that comes close to a trained decoder.
    """
    *others, last = decoder.steps.values()
    if len(others) > 1:
        raise StyleError(f"A decoder of level {decoder.level} cannot start from photos alone; give one to start from.")
    first = others[0]
    with torch.no_grad():  # some channels pass through, so nothing is lost
        kept = min(first.in_channels, first.out_channels)
        first.weight[:kept] = 0
        for channel in range(kept):
            first.weight[channel, channel, 1, 1] = 1
    layer = layer_of(decoder.level)

    def pair(photo: Tensor) -> tuple[Tensor, Tensor]:
        x = encoder(photo, [layer])[layer]
        for convolution in others:
            x = F.relu(convolution(_reflected(x)))
        return x, photo

    _fit(last, pair, photos)


def _fit(convolution: nn.Conv2d, pair: Callable[[Tensor], tuple[Tensor, Tensor]], photos: Iterable[Tensor]) -> None:
    """Give a 3x3 convolution the weights that map inputs to outputs, both [1, C, h, w] by ``pair``, with least error.

    Every photo counts with at most PATCHES_PER_PHOTO places. The bias is not penalised.
    """
    size = convolution.in_channels * 9 + 1
    squares = torch.zeros(size, size, dtype=torch.float64)
    products = torch.zeros(size, convolution.out_channels, dtype=torch.float64)
    count = 0
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for photo in photos:
            photo = photo[..., : photo.shape[-2] // 16 * 16, : photo.shape[-1] // 16 * 16]
            inputs, outputs = pair(photo)
            places = torch.randperm(outputs.shape[-2] * outputs.shape[-1], generator=random)[:PATCHES_PER_PHOTO]
            patches = F.unfold(_reflected(inputs), 3)[0][:, places]
            patches = torch.cat([patches, patches.new_ones(1, patches.shape[1])])
            squares += (patches @ patches.T).double()
            products += (patches @ outputs.flatten(2)[0][:, places].T).double()
            count += len(places)
        penalty = torch.full((size,), WARM_START_RIDGE * float(squares.diagonal()[:-1].mean()), dtype=torch.float64)
        penalty[-1] = 0
        solution = torch.linalg.solve(squares + penalty.diag(), products).T.float()
        convolution.weight.copy_(solution[:, :-1].reshape(convolution.weight.shape))
        cast(Tensor, convolution.bias).copy_(solution[:, -1])


def _weights(state: Mapping[str, Tensor], layer: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a layer such as ``conv5_1``, which slim networks call ``conv51``."""
    parsed = Layer.parse(layer)
    key = f"conv{parsed.block}{parsed.number}"
    try:
        return state[f"{key}.weight"], state[f"{key}.bias"]
    except KeyError as missing:
        raise StyleError(f"The decoder to start from lacks {missing}; give one of the slim decoders.") from missing


def _reflected(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect")
