"""Trains a slim VGG-19 with heads to predict the features of a larger one: how ``compact`` was made.

After Wang et al. 2020 (arXiv 2003.08436), whose slim VGG-19 also answers through 1x1 heads; here the whole network
learns from random weights, and from what an iterative render feeds it: photos, paintings, and pictures between them.
And its heads are linear, with no ReLU behind them: so a render, which asks for nothing but inner products of features,
needs only as many channels as the network has itself (``condensed``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from nst_core.checkpoint_file import write_checkpoint
from nst_core.distill.student_renders import StudentRenders
from nst_core.features.layers import VGG19_TO_CONV5_1, Layer
from nst_core.features.network import TORCHVISION, FeatureNetwork
from nst_core.features.vgg import VGGNetwork
from nst_core.losses.functional import gram_matrix
from nst_core.pictures.photos import PictureSource

CHECKPOINT_FORMAT = 3
CONV_LAYERS = tuple(str(Layer.parse(layer).conv) for layer in GATYS_STYLE_LAYERS)
# The smallest crop of a photo, as a share of its short side: fine detail at full sharpness, and whole scenes.
LEAST_CROP = 0.35
# How much the features before the ReLU count, which hardly any loss asks for, beside those after it.
BEFORE_RELU = 0.1
SCALE_BATCHES = 16


@dataclass(frozen=True)
class DistillProgress:
    """Reported after every step, or every so many: the losses by layer, and of the Gram matrices, in that step."""

    step: int
    steps: int
    losses: dict[str, float]


def distill(
    teacher: FeatureNetwork,
    photos: PictureSource,
    paintings: PictureSource,
    settings: DistillSettings,
    progress: Callable[[DistillProgress], bool],
    path: Path,
    device: torch.device = torch.device("cpu"),
    start: FeatureNetwork | None = None,
    save_every: int = 100,
    report_every: int = 1,
) -> tuple[VGGNetwork, int]:
    """Train towards ``teacher``'s relu1_1 to relu5_1, keep the checkpoint ``path`` up to date, return network and step.

    If ``path`` exists, training goes on from it: the result is the same as without the break. Else it begins with the
    weights of ``start``, if given: what ``load_features`` read from the result of an earlier training. ``progress`` is
    called every ``report_every`` steps and with every checkpoint; after the step for which it returns False the
    training stops. Raises StyleError if the checkpoint is another run's, ``start`` has
    another shape, or the teacher lacks a layer.
    """
    teacher.check(CONV_LAYERS)
    if settings.first_layer not in GATYS_STYLE_LAYERS:
        raise StyleError(
            f"There is no layer {settings.first_layer!r} to learn; choose from {', '.join(GATYS_STYLE_LAYERS)}."
        )
    layers = CONV_LAYERS[GATYS_STYLE_LAYERS.index(settings.first_layer) :]
    if layers != CONV_LAYERS and start is None:
        raise StyleError(f"What comes before {settings.first_layer} is to stay as it is; give a network to start from.")
    teacher = teacher.to(device)
    saved = _load(path, settings, teacher.name) if path.exists() else None
    scales = saved["scales"] if saved else _scales(teacher, photos, settings, device)
    scales = {layer: scale.to(device) for layer, scale in scales.items()}
    torch.manual_seed(settings.seed)
    student = new_network(settings, {layer: scale.numel() for layer, scale in scales.items()})
    student = student.to(device).train()
    learning = _freeze_before(student, layers[0])
    trunk = VGGNetwork("trunk", {}, TORCHVISION)  # what the heads work on
    trunk.convolutions = student.convolutions
    optimizer = torch.optim.AdamW(learning, settings.learning_rate)
    first = 0
    renders = StudentRenders(photos, paintings, settings, device)
    if start is not None:
        _start_from(student, start, scales)
    if saved:
        student.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        renders.load_state_dict(saved["renders"])
        first = saved["step"]

    def save(step: int) -> None:
        state = {
            "format": CHECKPOINT_FORMAT,
            "settings": asdict(settings),
            "teacher": teacher.name,
            "step": step,
            "scales": scales,
            "network": student.state_dict(),
            "optimizer": optimizer.state_dict(),
            "renders": renders.state_dict(),
        }
        write_checkpoint(state, path)

    step = first
    for step in range(first + 1, settings.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(step - 1)
        try:
            batch = pictures_of_step(photos, paintings, settings, step).to(device)
            batch = torch.cat([batch, renders.of_step(step, _on_teachers_scale(student, scales))])
            batch = batch.contiguous(memory_format=torch.channels_last)
        except StyleError:
            save(step - 1)
            raise
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.mixed_precision):
            with torch.no_grad():
                before = teacher(batch, layers)
            own = trunk(batch, [_relu(layer) for layer in layers])
        found = {layer: _losses(student, layer, own[_relu(layer)], before[layer], scales[layer]) for layer in layers}
        losses = {_relu(layer): loss for layer, (loss, _) in found.items()}
        gram = torch.stack([loss for _, loss in found.values()]).sum()
        total = torch.stack([*losses.values()]).sum() + settings.gram_weight * gram
        total.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        saving = step % save_every == 0 or step == settings.steps
        if saving or step % report_every == 0:
            values = torch.stack([*losses.values(), gram]).tolist()
            go_on = progress(DistillProgress(step, settings.steps, dict(zip([*losses, "gram"], values, strict=True))))
            if saving or not go_on:
                save(step)
            if not go_on:
                break
    return _on_teachers_scale(student, scales), step


def new_network(settings: DistillSettings, channels: dict[str, int]) -> VGGNetwork:
    """A slim VGG-19 up to conv5_1 with random weights (He et al. 2015), trainable.

    ``channels`` says how many of its own the heads of each of ``CONV_LAYERS`` answer with.
    """
    convolutions, heads, into = {}, dict[str, tuple[Tensor, Tensor]](), 3
    for block, count in enumerate(VGG19_TO_CONV5_1, 1):
        width = settings.channels[block - 1]
        for number in range(1, count + 1):
            convolutions[str(Layer(block, number, "conv"))] = _random(width, into, 3, 2.0)
            into = width
        conv = str(Layer(block, 1, "conv"))
        heads |= {layer: _random(channels[conv], width, 1, 1.0) for layer in (conv, _relu(conv))}
    return VGGNetwork("compact", convolutions, TORCHVISION, heads=heads).requires_grad_(True)


def pictures_of_step(photos: PictureSource, paintings: PictureSource, settings: DistillSettings, step: int) -> Tensor:
    """The batch of a step, float32 [N, 3, crop, crop] in 0..1: half photos, a quarter paintings, a quarter between."""
    n, between = settings.batch, settings.batch // 4
    photo = photos.batch(step, n - between, settings.crop, settings.seed, LEAST_CROP)
    painting = paintings.batch(step, 2 * between, settings.crop, settings.seed, LEAST_CROP)
    share = np.random.default_rng([settings.seed, step, 2]).random((between, 1, 1, 1), np.float32)
    mixed = torch.lerp(photo[:between], painting[:between], torch.from_numpy(share).to(photo.device))
    return torch.cat([photo[between:], painting[between:], mixed])


def save_compact(network: VGGNetwork, path: Path, made: dict[str, str]) -> None:
    """Write a network of this kind as half-precision safetensors with ``made`` in its metadata, whole or not at all.

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


def agreement(
    student: FeatureNetwork, teacher: FeatureNetwork, pictures: Iterable[Tensor], layers: Iterable[str]
) -> dict[str, float]:
    """By layer, the median over the channels of the correlation of ``student``'s features with ``teacher``'s.

    ``pictures`` are [1, 3, H, W]; every pixel of every one of them is a sample. Channels that are constant in either
    count as 0, so dead ones show.
    """
    layers = list(layers)
    sums: dict[str, tuple[int, Tensor]] = {}
    with torch.no_grad():
        for picture in pictures:
            a, b = student(picture, layers), teacher(picture, layers)
            for layer in layers:
                x, y = (v[layer][0].flatten(1).cpu().double() for v in (a, b))
                new = torch.stack([x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)])
                count, old = sums.get(layer, (0, torch.zeros_like(new)))
                sums[layer] = (count + x.shape[1], old + new)
    result = {}
    for layer, (n, (x, y, xx, yy, xy)) in sums.items():
        variances = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
        correlation = (xy / n - x * y / n**2) / variances.clamp_min(0).sqrt()
        result[layer] = correlation.nan_to_num(0.0, 0.0, 0.0).median().item()
    return result


def _random(out: int, into: int, size: int, gain: float) -> tuple[Tensor, Tensor]:
    return torch.randn(out, into, size, size) * (gain / (into * size * size)) ** 0.5, torch.zeros(out)


def _scales(
    teacher: FeatureNetwork, photos: PictureSource, settings: DistillSettings, device: torch.device
) -> dict[str, Tensor]:
    """The deviation of each of the teacher's channels over some photos, [1, C, 1, 1] by layer."""
    squares: dict[str, Tensor] = {}
    with torch.no_grad():
        for step in range(SCALE_BATCHES):
            batch = photos.batch(step, settings.batch, settings.crop, settings.seed, LEAST_CROP).to(device)
            for layer, value in teacher(batch, CONV_LAYERS).items():
                squares[layer] = squares.get(layer, 0.0) + value.var((0, 2, 3), keepdim=True) / SCALE_BATCHES
    return {layer: value.sqrt().clamp_min(1e-6) for layer, value in squares.items()}


def _relu(conv: str) -> str:
    return str(Layer.parse(conv).relu)


def _losses(student: VGGNetwork, layer: str, own: Tensor, before: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """How wrong the heads of ``layer`` are, and how wrong the Gram matrix that a render would be judged by.

    ``own`` are the student's channels, [N, C, h, w], and ``before`` the teacher's, [N, D, h, w], before their ReLU;
    ``scale`` is their deviation. The heads are linear, so products of channels, summed over the pixels, say it all: the
    head's own D channels, several times as many, need not be there.
    """
    n, channels, height, width = own.shape
    own, before = own.float(), before.float() / scale
    own = torch.cat([own, own.new_ones(n, 1, height, width)], 1)
    inner = _products(own, own)
    loss, after = own.new_zeros(()), F.relu(before)
    for wanted, head, share in ((before, layer, BEFORE_RELU), (after, _relu(layer), 1.0)):
        matrix = _matrix(student.heads[head])
        square = (matrix @ inner.sum(0) * matrix).sum() - 2 * (matrix.T * _products(own, wanted).sum(0)).sum()
        loss = loss + share * (square + wanted.square().sum()) / wanted.numel()
    mean = after.mean((2, 3), keepdim=True)
    centred = _matrix(student.heads[_relu(layer)]) - F.pad(mean.flatten(2), (channels, 0))
    gram = centred @ inner @ centred.transpose(1, 2) / (height * width)
    return loss, _gram_loss(gram, gram_matrix(after, mean), scale.flatten())


def _matrix(head: nn.Module) -> Tensor:
    """What the head multiplies its channels with, and behind it the bias: [D, C + 1]."""
    weight, bias = (cast(Tensor, getattr(head, part)) for part in ("weight", "bias"))
    return torch.cat([weight.flatten(1), bias[:, None]], 1)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Of [N, C, h, w] and [N, D, h, w] the sums over the pixels of their channels' products, [N, C, D]."""
    pixels = (v.permute(0, 2, 3, 1).flatten(1, 2) for v in (a, b))
    return torch.stack([one.T @ other for one, other in zip(*pixels, strict=True)])


def _gram_loss(gram: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """How wrong centred Gram matrices are on the teacher's scale, as a render's.

    Each picture's error is divided by its own matrix and by that of the mean picture: by its own alone, a flat one,
    whose matrix is next to nothing, would outweigh all others.
    """
    gram, target = (scale[:, None] * scale * value for value in (gram, target))
    size = target.square().sum((1, 2))
    return 2 * ((gram - target).square().sum((1, 2)) / (size + size.mean())).mean()


def _freeze_before(student: VGGNetwork, first: str) -> list[nn.Parameter]:
    """Leave what the layers before ``first`` need without gradient; the parameters that are left to learn."""
    before = [layer for layer in CONV_LAYERS if Layer.parse(layer) < Layer.parse(first)]
    for layer in before:
        for head in (layer, _relu(layer)):
            student.heads[head].requires_grad_(False)
    for layer, convolution in student.convolutions.items():
        if before and Layer.parse(layer) <= Layer.parse(before[-1]):
            convolution.requires_grad_(False)
    return [parameter for parameter in student.parameters() if parameter.requires_grad]


def _on_teachers_scale(student: VGGNetwork, scales: dict[str, Tensor]) -> VGGNetwork:
    """A frozen copy whose heads answer in the teacher's units; in training they answer in deviations."""

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


def _start_from(student: VGGNetwork, start: FeatureNetwork, scales: dict[str, Tensor]) -> None:
    """Copy ``start``, the inverse of ``_on_teachers_scale``. Raises StyleError if it has other layers or more channels.

    Where it has fewer, the student answers as it does: its further channels are random and nobody listens to them yet.
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
                out, into = weight.shape[:2]
                module.weight[:out] = 0
                module.weight[:out, :into] = weight
                cast(Tensor, module.bias)[:out] = bias
    except (AttributeError, RuntimeError) as error:
        raise StyleError(
            f"The feature network {start.name} is of another shape; start from one with the same layers and teacher, "
            "and no more channels."
        ) from error


def _load(path: Path, settings: DistillSettings, teacher: str) -> dict:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        values = dict(saved["settings"])
        earlier = DistillSettings(**values | {"channels": tuple(values["channels"])})
        ours = saved["format"] == CHECKPOINT_FORMAT
    except Exception as error:  # torch.load and what follows raise a dozen kinds on a file that is no checkpoint
        raise StyleError(f"{path} is not a checkpoint of this training; choose another output file.") from error
    before = replace(earlier, steps=settings.steps, mixed_precision=settings.mixed_precision)
    if not ours or (before, saved["teacher"]) != (settings, teacher):
        raise StyleError(
            f"{path} is from a training with another teacher or settings; use the same ones, or another output file."
        )
    return saved
