"""The student: a slim VGG-19 whose linear heads predict the features of a larger network."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from nst_core.features.layers import VGG19_TO_CONV5_1, Layer
from nst_core.features.network import TORCHVISION, FeatureNetwork
from nst_core.features.vgg import VGGNetwork

# The layers whose features the heads predict, before their ReLU; other heads predict them after it.
CONV_LAYERS = tuple(str(Layer.parse(layer).conv) for layer in GATYS_STYLE_LAYERS)


def relu_of(conv: str) -> str:
    """Return the name of the ReLU after a convolution."""
    return str(Layer.parse(conv).relu)


def new_student(settings: DistillSettings, channels: dict[str, int]) -> VGGNetwork:
    """Return a slim VGG-19 up to conv5_1 with random weights (He et al. 2015), trainable.

    ``channels`` is the number of channels that the heads of each of ``CONV_LAYERS`` predict.
    """
    convolutions, heads, into = {}, dict[str, tuple[Tensor, Tensor]](), 3
    for block, count in enumerate(VGG19_TO_CONV5_1, 1):
        width = settings.channels[block - 1]
        for number in range(1, count + 1):
            convolutions[str(Layer(block, number, "conv"))] = _random(width, into, 3, 2.0)
            into = width
        conv = str(Layer(block, 1, "conv"))
        heads |= {layer: _random(channels[conv], width, 1, 1.0) for layer in (conv, relu_of(conv))}
    return VGGNetwork("compact", convolutions, TORCHVISION, heads=heads).requires_grad_(True)


def freeze_before(student: VGGNetwork, first: str) -> list[nn.Parameter]:
    """Freeze everything that only the layers before ``first`` need; return the parameters that still learn."""
    earlier = [layer for layer in CONV_LAYERS if Layer.parse(layer) < Layer.parse(first)]
    for layer in earlier:
        for head in (layer, relu_of(layer)):
            student.heads[head].requires_grad_(False)
    for layer, convolution in student.convolutions.items():
        if earlier and Layer.parse(layer) <= Layer.parse(earlier[-1]):
            convolution.requires_grad_(False)
    return [parameter for parameter in student.parameters() if parameter.requires_grad]


def in_teacher_units(student: VGGNetwork, scales: dict[str, Tensor]) -> VGGNetwork:
    """Return a frozen copy whose heads predict in the teacher's units; in training they predict in ``scales``.

    ``scales`` are the standard deviations of the teacher's channels, [1, C, 1, 1] by layer.
    """

    def parts(module: nn.Module) -> tuple[Tensor, Tensor]:
        convolution = cast(nn.Conv2d, module)
        return convolution.weight.detach().clone(), cast(Tensor, convolution.bias).detach().clone()

    heads = {}
    for layer, module in student.heads.items():
        weight, bias = parts(module)
        scale = scales[str(Layer.parse(layer).conv)].flatten()
        heads[layer] = (weight * scale.view(-1, 1, 1, 1), bias * scale)
    convolutions = {layer: parts(module) for layer, module in student.convolutions.items()}
    return VGGNetwork("compact", convolutions, TORCHVISION, heads=heads)


def copy_weights(student: VGGNetwork, start: FeatureNetwork, scales: dict[str, Tensor]) -> None:
    """Copy the weights of ``start``, which predicts in the teacher's units, into ``student``.

    If ``start`` has fewer channels, the student predicts the same: its further channels are random, and nothing uses
    them yet. Raises StyleError if ``start`` has other layers or more channels.
    """
    try:
        with torch.no_grad():
            for name, module in student.named_modules():
                if not isinstance(module, nn.Conv2d):
                    continue
                weight, bias = (cast(Tensor, getattr(start.get_submodule(name), part)) for part in ("weight", "bias"))
                if name.startswith("heads"):
                    scale = scales[str(Layer.parse(name.removeprefix("heads.")).conv)].flatten()
                    weight, bias = weight / scale.view(-1, 1, 1, 1), bias / scale
                outputs, inputs = weight.shape[:2]
                module.weight[:outputs] = 0
                module.weight[:outputs, :inputs] = weight
                cast(Tensor, module.bias)[:outputs] = bias
    except (AttributeError, RuntimeError) as error:
        raise StyleError(
            f"The feature network {start.name} is of another shape; start from one with the same layers and teacher, "
            "and no more channels."
        ) from error


def save_compact(network: VGGNetwork, path: Path, made: dict[str, str]) -> None:
    """Write a student as half-precision safetensors, whole or not at all, with ``made`` in its metadata.

    Raises StyleError if the file cannot be written.
    """
    state = {}
    for layers, prefix in ((network.convolutions, ""), (network.heads, "head_")):
        for layer, module in layers.items():
            for part in ("weight", "bias"):
                state[f"{prefix}{layer}.{part}"] = getattr(module, part).detach().half().contiguous().cpu()
    try:
        with written_whole(path) as partial:
            partial.write_bytes(as_safetensors(state, {"layout": "compact"} | made))
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); free some space and resume.") from error


def _random(out: int, into: int, size: int, gain: float) -> tuple[Tensor, Tensor]:
    return torch.randn(out, into, size, size) * (gain / (into * size * size)) ** 0.5, torch.zeros(out)
