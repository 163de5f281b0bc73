"""Decoders: networks that turn one layer of the feature network ``compact`` back into the picture.

After Li et al. 2017, "Universal Style Transfer via Feature Transforms" (arXiv 1705.08086): a decoder of level k inverts
relu k_1 and is trained to reconstruct pictures. Its shape is that of the slim decoders of Wang et al. 2020
(arXiv 2003.08436), except that it takes ``compact``'s channels, ends without a ReLU, and has one more convolution at
level 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.features.layers import VGG19_TO_CONV5_1, Layer, convolutions
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import VGGNetwork

LEVELS = (1, 2, 3, 4, 5)
# Channels at the five resolutions, as in Wang et al.; ``compact`` itself has 16, 48, 96, 160 and 256.
DECODER_CHANNELS = (16, 32, 64, 128, 128)
# Level 1 has no more than two convolutions, so it can afford a wider one between them.
LEVEL_1_CHANNELS = 32


def layer_of(level: int) -> str:
    """Return the layer that the decoder of a level inverts, such as ``relu4_1`` for 4."""
    return str(Layer(level, 1, "relu"))


class Decoder(nn.Module):
    """3x3 convolutions with reflected borders and a ReLU between each two, and four, three … doublings of the size.

    Args:
        level: the block whose first ReLU it inverts, 1 to 5.
        channels_in: the channels of that ReLU.
    """

    def __init__(self, level: int, channels_in: int) -> None:
        super().__init__()
        self.level = level
        self.convolutions = nn.ModuleDict()
        for layer, into, out in decoder_shape(level, channels_in):
            convolution = nn.Conv2d(into, out, 3)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, convolution.bias))
            self.convolutions[str(layer)] = convolution

    @property
    def steps(self) -> dict[str, nn.Conv2d]:
        """The convolutions in order, by the names of the encoder's that they invert."""
        return {name: cast(nn.Conv2d, module) for name, module in self.convolutions.items()}

    def forward(self, features: Tensor) -> Tensor:
        """Compute pictures [N, 3, H, W], about 0..1, from activations [N, C, h, w] of at least 2x2."""
        x, steps = features, self.steps
        *_others, last = steps
        for name, convolution in steps.items():
            x = convolution(F.pad(x, (1, 1, 1, 1), mode="reflect"))
            if name == last:
                break
            x = F.relu(x)
            if Layer.parse(name).number == 1:  # where the encoder pooled before this layer
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return x


def decoder_shape(level: int, channels_in: int) -> list[tuple[Layer, int, int]]:
    """Return a decoder's convolutions in order, with their input and output channels.

    They are named after the encoder's convolutions that they invert: conv5_1, conv4_4, … conv1_1.
    """
    inverted = [layer for layer in convolutions(VGG19_TO_CONV5_1) if layer <= Layer(level, 1, "conv")][::-1]
    if level == 1:
        inverted = [Layer(1, 2, "conv"), Layer(1, 1, "conv")]
    shape, into = [], channels_in
    for layer, following in zip(inverted, [*inverted[1:], None], strict=True):
        # conv4_1 leads to block 3, so it has block 3's channels.
        block = layer.block if layer.number > 1 or following is None else layer.block - 1
        out = 3 if following is None else LEVEL_1_CHANNELS if level == 1 else DECODER_CHANNELS[block - 1]
        shape.append((layer, into, out))
        into = out
    return shape


def trunk_of(network: FeatureNetwork) -> VGGNetwork:
    """Return the encoder: the trunk of ``compact``. Raises StyleError for a network without layers to relu5_1."""
    if not isinstance(network, VGGNetwork):
        raise StyleError(f"{network.name} is several networks; decoders are trained for one, such as compact.")
    trunk = network.without_heads()
    trunk.check([layer_of(level) for level in LEVELS])
    return trunk


def channels_of(trunk: VGGNetwork, level: int) -> int:
    """Return the channels of the layer that the decoder of a level inverts."""
    return int(cast(nn.Conv2d, trunk.convolutions[str(Layer(level, 1, "conv"))]).out_channels)


def read_decoder(path: Path) -> Decoder:
    """Read a decoder that ``save_decoder`` wrote. Raises StyleError if the file holds anything else."""
    check_untrusted_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            level = int((file.metadata() or {})["level"])
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (no iterator of its own)
        first = state[f"{decoder_shape(level, 1)[0][0]}.weight"]
        decoder = Decoder(level, first.shape[1])
        decoder.convolutions.load_state_dict(state)
    except Exception as error:  # the lines above raise many kinds of error for another file
        raise StyleError(f"{path} is not a decoder; give a file that `neural-style train-decoders` wrote.") from error
    return decoder


def save_decoder(decoder: Decoder, path: Path, made: dict[str, str]) -> None:
    """Write a decoder as half-precision safetensors, whole or not at all, with ``made`` in its metadata.

    Raises StyleError if the file cannot be written.
    """
    state = {key: value.detach().half().contiguous().cpu() for key, value in decoder.convolutions.state_dict().items()}
    try:
        with written_whole(path) as partial:
            partial.write_bytes(as_safetensors(state, {"layout": "decoder", "level": str(decoder.level)} | made))
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); free some space and resume.") from error


def psnr(decoder: Decoder, encoder: VGGNetwork, picture: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of a picture [1, 3, H, W] that was encoded and decoded.

    The picture is cropped to a multiple of 16 pixels first.
    """
    height, width = (extent // 16 * 16 for extent in picture.shape[-2:])
    picture = picture[..., :height, :width]
    with torch.no_grad():
        decoded = decoder(encoder(picture, [layer_of(decoder.level)])[layer_of(decoder.level)]).clamp(0, 1)
    return float(-10 * torch.log10((decoded - picture).square().mean()))
