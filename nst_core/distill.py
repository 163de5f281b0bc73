"""Trains a slim VGG-19 with heads to predict the features of a larger one: how ``compact`` was made.

After Wang et al. 2020 (arXiv 2003.08436), whose slim VGG-19 also answers through 1x1 heads; here the whole network
learns from random weights, and from what an iterative render feeds it: photos, paintings, and pictures between them.
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

from nst_core.errors import StyleError
from nst_core.features import CONVOLUTIONS_PER_BLOCK, TORCHVISION, FeatureNetwork, VGGNetwork
from nst_core.files import written_whole
from nst_core.losses import gram_matrix
from nst_core.photos import PictureSource
from nst_core.settings import GATYS_STYLE_LAYERS, DistillSettings
from nst_core.student_renders import StudentRenders

CHECKPOINT_FORMAT = 2
CONV_LAYERS = tuple(layer.replace("relu", "conv") for layer in GATYS_STYLE_LAYERS)
# The smallest crop of a photo, as a share of its short side: fine detail at full sharpness, and whole scenes.
LEAST_CROP = 0.35
# How much of a negative value counts. Matched after a plain ReLU, heads that fall below zero never come back.
LEAK = 0.1
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
        try:
            with written_whole(path) as partial:
                torch.save(state, partial)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            raise StyleError(
                f"The checkpoint {path} cannot be written ({error}); free some space and resume."
            ) from error

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
                wanted = {layer: value / scales[layer] for layer, value in teacher(batch, layers).items()}
            found = student(batch, layers)
            losses = {layer: _feature_loss(found[layer], wanted[layer]) for layer in layers}
            gram = torch.stack([_gram_loss(found[layer], wanted[layer], scales[layer]) for layer in layers]).sum()
            total = torch.stack([*losses.values()]).sum() + settings.gram_weight * gram
        total.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        saving = step % save_every == 0 or step == settings.steps
        if saving or step % report_every == 0:
            names = [*(layer.replace("conv", "relu") for layer in losses), "gram"]
            values = torch.stack([*losses.values(), gram]).tolist()
            go_on = progress(DistillProgress(step, settings.steps, dict(zip(names, values, strict=True))))
            if saving or not go_on:
                save(step)
            if not go_on:
                break
    return _on_teachers_scale(student, scales), step


def new_network(settings: DistillSettings, channels: dict[str, int]) -> VGGNetwork:
    """A slim VGG-19 up to conv5_1 with random weights (He et al. 2015), trainable.

    ``channels`` says how many of its own each head of ``CONV_LAYERS`` answers with.
    """
    convolutions, heads, into = {}, {}, 3
    for block, count in enumerate((*CONVOLUTIONS_PER_BLOCK["vgg19"][:4], 1), 1):
        width = settings.channels[block - 1]
        for number in range(1, count + 1):
            convolutions[f"conv{block}_{number}"] = _random(width, into, 3, 2.0)
            into = width
        heads[f"conv{block}_1"] = _random(channels[f"conv{block}_1"], width, 1, 1.0)
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
    for layers, kind in ((network.convolutions, "conv"), (network.heads, "head")):
        for layer, module in layers.items():
            for part in ("weight", "bias"):
                state[f"{layer.replace('conv', kind)}.{part}"] = (
                    getattr(module, part).detach().half().contiguous().cpu()
                )
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


def _feature_loss(found: Tensor, wanted: Tensor) -> Tensor:
    # Not F.mse_loss: under autocast it would copy everything to float32 first.
    return (F.leaky_relu(found, LEAK) - F.leaky_relu(wanted, LEAK)).square().mean()


def _gram_loss(found: Tensor, wanted: Tensor, scale: Tensor) -> Tensor:
    """How wrong the centred Gram matrices are that a render would be judged by: on the teacher's scale, as a render's.

    Each picture's error is divided by its own matrix and by that of the mean picture: by its own alone, a flat one,
    whose matrix is next to nothing, would outweigh all others.
    """
    found, wanted = F.relu(found), F.relu(wanted)
    mean = wanted.mean((2, 3), keepdim=True)
    scale = scale.flatten()
    gram, target = (scale[:, None] * scale * gram_matrix(value, mean) for value in (found, wanted))
    size = target.square().sum((1, 2))
    return 2 * ((gram - target).square().sum((1, 2)) / (size + size.mean())).mean()


def _freeze_before(student: VGGNetwork, first: str) -> list[nn.Parameter]:
    """Leave what the layers before ``first`` need without gradient; the parameters that are left to learn."""
    before = [layer for layer in CONV_LAYERS if layer < first]
    for layer in before:
        student.heads[layer].requires_grad_(False)
    for layer, convolution in student.convolutions.items():
        if before and layer <= before[-1]:
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
        scale = scales[layer].flatten()
        heads[layer] = (weight * scale.view(-1, 1, 1, 1), bias * scale)
    convolutions = {layer: parts(module) for layer, module in student.convolutions.items()}
    return VGGNetwork("compact", convolutions, TORCHVISION, heads=heads)


def _start_from(student: VGGNetwork, start: FeatureNetwork, scales: dict[str, Tensor]) -> None:
    """The inverse of ``_on_teachers_scale``. Raises StyleError if ``start`` has another shape."""
    state = start.state_dict()
    for layer, scale in scales.items():
        for part, shape in (("weight", (-1, 1, 1, 1)), ("bias", (-1,))):
            key = f"heads.{layer}.{part}"
            if key in state:
                state[key] = state[key].to(scale.device) / scale.view(shape)
    try:
        student.load_state_dict(state)
    except RuntimeError as error:
        raise StyleError(
            f"The feature network {start.name} is of another shape; start from one with the same channels and teacher."
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
