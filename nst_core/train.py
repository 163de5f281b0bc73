"""Trains a feed-forward network for one style (Johnson et al. 2016), resumable to the bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core import parallel
from nst_core.errors import StyleError
from nst_core.features import FeatureNetwork
from nst_core.files import written_whole
from nst_core.metrics import mesh
from nst_core.objective import Objective, RowsObjective
from nst_core.photos import PictureSource
from nst_core.pictures import resized_to_area, without_grain
from nst_core.settings import ObjectiveSettings, TrainSettings, TransformerSettings
from nst_core.transformer import TransformerNetwork
from nst_core.views import random_tilt

CHECKPOINT_FORMAT = 4
MESH_SHARE = 0.5  # of each photo, where it is flattest; there a mesh shows
SMALLEST_STYLE = 64  # pixels; a smaller picture holds no strokes, only a blur of them once it is enlarged
WARM_UP = 3  # steps that take longer than those that follow
MEASURED = 0.05  # of a budget in minutes, before the steps that fit into it are counted


@dataclass(frozen=True)
class TrainProgress:
    """Reported after every step, or every so many.

    Attributes:
        step, steps: how many are done, and how many there are; 0 while that is not known yet.
        losses: weighted, by name, in that step.
        paintings: from time to time the preview photos in every style, [styles, N, 3, h, w] (see ``train``).
    """

    step: int
    steps: int
    losses: dict[str, float]
    paintings: Tensor | None = None


@dataclass(frozen=True)
class Checkpoint:
    """What a training run leaves: its settings, how far it came, and what it learned from."""

    settings: TrainSettings
    step: int
    network: TransformerNetwork
    optimizer: dict
    feature_network: str
    style_sha256: tuple[str, ...]
    photos: int
    earlier_steps: int
    started_from: str = ""


@dataclass(frozen=True)
class Base:
    """A trained network that another training may begin with.

    Attributes:
        steps: how many it has learned in all.
        names: of its styles, in order; or of the file, where they have none.
        rows: for each new style which of the network's it begins as; None is as ``TransformerNetwork.start_from`` says.
    """

    network: TransformerNetwork
    steps: int
    names: tuple[str, ...]
    rows: tuple[int, ...] | None = None

    @property
    def title(self) -> str:
        """What a training began with: each name once."""
        return ", ".join(dict.fromkeys(self.names if self.rows is None else (self.names[row] for row in self.rows)))


def train(
    styles: Sequence[Tensor],
    photos: PictureSource,
    features: FeatureNetwork,
    settings: TrainSettings,
    progress: Callable[[TrainProgress], bool],
    path: Path,
    start: Base | None = None,
    preview: Tensor | None = None,
    save_every: int = 100,
    report_every: int = 1,
    compiled: bool = False,
) -> Checkpoint:
    """Train towards ``styles`` (each [1, 3, h, w], RGB, sRGB-encoded 0..1) and keep the checkpoint ``path`` up to date.

    Several styles take turns within each batch: each photo is painted in one of them. ``settings.network.styles`` says
    how many there are.

    If ``path`` exists, training goes on from it: the result is the same as without the break. Else it begins with the
    weights of ``start``, if given: a network that has learned other styles, or these with other weights of the losses,
    learns much sooner. ``progress`` is called every ``report_every`` steps, for a GPU waits for whoever looks at its
    losses, and with every checkpoint; after the step for which it returns False the training stops. Every
    ``save_every`` steps, when the checkpoint is written, it gets the photos ``preview`` ([N, 3, h, w]) in every style,
    if they are given. ``compiled`` has PyTorch compile the networks first, which may pay in a long training on a GPU.
    Raises StyleError if the checkpoint is another run's, ``start`` of another shape, or a style picture too small.

    With a budget in minutes, the time of the first steps decides once and for all how many there are to be; the
    checkpoint keeps that number. So the learning rate falls as it does with that many ``steps``, the network is the
    same to the bit (if they are more than a handful), and a second sitting ends where the first would have, however
    fast it is. Another budget for a checkpoint that has one changes the number in proportion; for one that has none,
    it is counted from there.

    Several processes (see parallel.py) share each batch, the losses reported are those of all of it, and the first one
    keeps the checkpoint; every one of them is to call this, and any may stop it. Raises StyleError if they cannot share
    the batch evenly.
    """
    part = parallel.share(settings.batch)
    device = styles[0].device
    # Channels last is a sixth faster on a CPU and what tensor cores want.
    layout = torch.channels_last
    features = features.to(device)
    for style in styles:
        if min(style.shape[-2:]) < SMALLEST_STYLE:
            raise StyleError(
                f"A style picture is {style.shape[3]}x{style.shape[2]} pixels; "
                f"choose one with at least {SMALLEST_STYLE} pixels on its shorter side."
            )
    styles = [style_picture(style, settings) for style in styles]
    objective = RowsObjective(features, settings.rows, styles)
    preview = None if preview is None else preview.to(device)
    torch.manual_seed(settings.seed)
    network = TransformerNetwork(settings.network).to(device).to(memory_format=layout).train()
    optimizer = torch.optim.Adam(parameter_groups(network))
    style_sha256 = tuple(hashlib.sha256(style.cpu().numpy().tobytes()).hexdigest() for style in styles)
    first, earlier_steps, started_from = 0, 0, ""
    if settings.minutes:
        settings = replace(settings, steps=0)
    earlier = parallel.agreed(load_checkpoint(path) if path.exists() else None)[0]
    if earlier is not None:
        if settings.minutes and earlier.settings.minutes:
            steps = round(earlier.settings.steps * (settings.minutes / earlier.settings.minutes))
            settings = replace(settings, steps=steps)
        # How far and how fast may change from one sitting to the next; what is learned may not.
        before = replace(
            earlier.settings,
            steps=settings.steps,
            minutes=settings.minutes,
            mixed_precision=settings.mixed_precision,
        )
        if len(photos) == 0 and earlier.photos:
            raise StyleError(f"{path} is from a training with photos; give them again.")
        if (before, earlier.style_sha256, earlier.feature_network) != (settings, style_sha256, features.name):
            raise StyleError(
                f"{path} is from a training with another style picture or other settings, or with the feature network "
                f"{earlier.feature_network} in place of {features.name}; use the same ones, or another output file."
            )
        network.load_state_dict(earlier.network.state_dict())
        optimizer.load_state_dict(earlier.optimizer)
        first, earlier_steps, started_from = earlier.step, earlier.earlier_steps, earlier.started_from
    elif start is not None:
        if replace(start.network.settings, styles=settings.network.styles) != settings.network:
            raise StyleError(f"The network to start from is {start.network.settings}; train with the same shape.")
        network.start_from(start.network, start.rows)
        earlier_steps, started_from = start.steps, start.title
    parallel.take_over(network)

    parts: list[Any] = [network, objective.content_targets, objective.__call__]
    if compiled:
        torch.compiler.reset()  # only so many networks are compiled for one and the same code
        parts = [torch.compile(part) for part in parts]
    styled_by, targets_of, losses_of = parts

    def checkpoint(step: int) -> Checkpoint:
        return Checkpoint(
            settings,
            step,
            network,
            optimizer.state_dict(),
            features.name,
            style_sha256,
            len(photos),
            earlier_steps,
            started_from,
        )

    def save(step: int) -> None:
        if parallel.rank() == 0:
            save_checkpoint(checkpoint(step), path)

    step, go_on, moments = first, True, [monotonic()]
    try:
        while go_on and (step < settings.steps or (settings.minutes and not settings.steps)):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate_at(step) * (settings.row_rate if group["rows"] else 1.0)
            which = torch.from_numpy(turns(step, settings.batch, len(styles), settings.seed)[part])
            which = which.to(device, non_blocking=True)
            mixture = torch.from_numpy(mixtures(step, settings)[part]).to(device, non_blocking=True)
            rows = (F.one_hot(which, len(styles)).float()[:, :, None] * mixture[:, None]).flatten(1)
            tilt = random_tilt(settings.turn, settings.zoom, settings.seed, step)
            optimizer.zero_grad()
            batch = photos.batch(step, settings.batch, settings.crop, settings.seed, part=part)
            batch = batch.to(device, memory_format=layout, non_blocking=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.mixed_precision):
                styled = styled_by(batch, rows)
                losses = losses_of(tilt.of(styled), targets_of(tilt.of(batch)), which, mixture)
                if settings.steady_weight:
                    again = styled_by(noisy(batch, settings, step), rows)
                    losses["steady"] = settings.steady_weight * (styled - again).float().abs().mean()
                    losses["total"] = losses["total"] + losses["steady"]
            losses["mesh"] = settings.mesh_weight * mesh(styled.float(), batch, MESH_SHARE).clamp_min(0).mean()
            losses["total"] = losses["total"] + losses["mesh"]
            losses["total"].backward()
            parallel.agreed()  # nobody waits for gradients that are not to come
            means = {name: value.detach() for name, value in losses.items()}
            parallel.average([*(cast(Tensor, weight.grad) for weight in network.parameters()), *means.values()])
            optimizer.step()
            step += 1
            if settings.minutes and not settings.steps:
                moments.append(monotonic())
                steps = parallel.agreed(fitting(60 * settings.minutes, moments, first))[0]
                settings = replace(settings, steps=steps)
            saving = step % save_every == 0 or step == settings.steps
            if saving or step % report_every == 0:
                found = dict(zip(means, torch.stack([*means.values()]).tolist(), strict=True))
                paintings = paint(network, preview) if preview is not None and step % save_every == 0 else None
                go_on = all(parallel.agreed(progress(TrainProgress(step, settings.steps, found, paintings))))
                if saving or not go_on:
                    save(step)
    except StyleError:
        # Whatever goes wrong, here or in another process, what has been learned is kept.
        save(step)
        raise
    return checkpoint(step)


def fitting(seconds: float, moments: Sequence[float], before: int = 0) -> int:
    """How many steps a budget is good for, ``before`` among them, or 0 while too few of them tell.

    ``moments``, in seconds, are when the first step began and when each one ended.
    """
    spent, measured = moments[-1] - moments[0], len(moments) - 1 - WARM_UP
    if measured < 1 or spent < MEASURED * seconds:
        return 0
    pace = (moments[-1] - moments[WARM_UP]) / measured
    return before + len(moments) - 1 + max(0, int((seconds - spent) / pace))


@torch.no_grad()
def paint(network: TransformerNetwork, photos: Tensor) -> Tensor:
    """``photos`` ([N, 3, h, w]) in each style as it is for use, not for training: [styles, N, 3, h, w] in 0..1."""
    training = network.training
    network.eval()
    choices = torch.eye(network.settings.styles, device=photos.device).split(1)
    paintings = [network(photos, choice) for choice in choices]
    network.train(training)
    return torch.stack(paintings)


def style_picture(painting: Tensor, settings: TrainSettings) -> Tensor:
    """What the losses see of a painting, [1, 3, h, w]."""
    return without_grain(resized_to_area(painting, settings.style_size), settings.grain)


@torch.no_grad()
def nearest(
    bases: Sequence[Base], styles: Sequence[Tensor], photo: Tensor, features: FeatureNetwork, settings: TrainSettings
) -> Base:
    """The one of ``bases`` to begin with, and in its ``rows`` the nearest of its styles to each of ``styles``.

    That is the one whose painting of ``photo`` ([1, 3, h, w]) has the least style loss of the training to come. Of
    several networks it is the one with the least sum over ``styles``. Each picture is RGB, sRGB-encoded 0..1.
    With two rows for a style, both begin as the same one.
    """
    styles = [style_picture(style, settings) for style in styles]
    objective = Objective(features.to(photo.device), settings.objective, styles)
    content = objective.content_targets(photo)
    which = torch.arange(len(styles), device=photo.device).split(1)
    found = []
    for base in bases:
        paintings = paint(base.network.to(photo.device), photo)
        losses = torch.tensor([[objective(painting, content, one)["style"] for painting in paintings] for one in which])
        least, rows = losses.min(1)
        found.append((least.sum().item(), replace(base, rows=tuple(row for row in rows.tolist() for _ in settings.rows))))
    return min(found, key=lambda one: one[0])[1]


def with_styles(checkpoint: Checkpoint, rows: Sequence[int]) -> Checkpoint:
    """The same with a network that knows only these of its styles, for use; the optimiser's state goes."""
    shape = replace(checkpoint.settings.network, styles=len(rows))
    network = TransformerNetwork(shape)
    network.start_from(checkpoint.network, rows)
    return replace(
        checkpoint,
        settings=replace(checkpoint.settings, network=shape),
        network=network,
        optimizer={},
        style_sha256=tuple(checkpoint.style_sha256[row] for row in rows),
    )


def turns(step: int, batch: int, styles: int, seed: int) -> np.ndarray:
    """Which style each photo of a step is painted in, int64 [batch]: all come equally often, in changing order."""
    rounds, places = np.divmod(np.arange(step * batch, (step + 1) * batch), styles)
    orders = {n: np.random.default_rng([seed, int(n), 2]).permutation(styles) for n in np.unique(rounds)}
    return np.array([orders[n][place] for n, place in zip(rounds, places, strict=True)])


def parameter_groups(network: TransformerNetwork) -> list[dict[str, Any]]:
    """The convolutions' weights and the norms' rows, for an optimiser that is to teach them at different rates."""
    named = list(network.named_parameters())
    rows = [name.endswith(("norm.scale", "norm.shift")) for name, _ in named]
    return [
        {"params": [value for (_, value), row in zip(named, rows, strict=True) if row == kind], "rows": kind}
        for kind in (False, True)
    ]


def mixtures(step: int, settings: TrainSettings) -> np.ndarray:
    """How much of each row each picture of a step is painted by, float32 [batch, rows]; each sums to 1."""
    count = len(settings.rows)
    if count == 1:
        return np.ones((settings.batch, 1), np.float32)
    rng = np.random.default_rng([settings.seed, step, 3])
    first = rng.random(settings.batch)
    between = rng.random(settings.batch) < settings.between
    # The ends take turns, within a batch and from one step to the next.
    ends = (np.arange(step * settings.batch, (step + 1) * settings.batch) % 2).astype(float)
    first = np.where(between, first, ends)
    return np.stack([first, 1 - first], 1).astype(np.float32)


def noisy(batch: Tensor, settings: TrainSettings, step: int) -> Tensor:
    """The photos of a step with noise."""
    generator = torch.Generator(batch.device).manual_seed(settings.seed + step)
    noise = torch.empty_like(batch).normal_(0, settings.steady_noise, generator=generator)
    return (batch + noise).clamp(0, 1)


def bytes_per_pixel(features: FeatureNetwork, settings: TrainSettings) -> int:
    """Memory that training takes at its peak, per pixel of a batch; measured at width 16, it was within a fifth."""
    return (
        round(1.15 * features.condensed()[0].bytes_per_pixel(settings.objective.layers)) + 220 * settings.network.width
    )


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write ``path`` whole or not at all; StyleError if it cannot be written (the old one stays)."""
    state = {
        "format": CHECKPOINT_FORMAT,
        "settings": asdict(checkpoint.settings),
        "step": checkpoint.step,
        "network": checkpoint.network.state_dict(),
        "optimizer": checkpoint.optimizer,
        "feature_network": checkpoint.feature_network,
        "style_sha256": checkpoint.style_sha256,
        "photos": checkpoint.photos,
        "earlier_steps": checkpoint.earlier_steps,
        "started_from": checkpoint.started_from,
    }
    try:
        with written_whole(path) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise StyleError(f"The checkpoint {path} cannot be written ({error}); free some space and resume.") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what ``save_checkpoint`` wrote. Raises StyleError if ``path`` is something else."""
    if not path.is_file():
        raise StyleError(f"There is no checkpoint {path}; give the file that `neural-style train` wrote.")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        values = dict(saved["settings"])
        faithful = values.pop("faithful", None)
        settings = TrainSettings(
            objective=ObjectiveSettings(**values.pop("objective")),
            faithful=None if faithful is None else ObjectiveSettings(**faithful),
            network=TransformerSettings(**values.pop("network")),
            **values,
        )
        network = TransformerNetwork(settings.network)
        network.load_state_dict(saved["network"])
        names = ("step", "optimizer", "feature_network", "style_sha256", "photos", "earlier_steps")
        rest = {name: saved[name] for name in names}
        rest["style_sha256"] = tuple(rest["style_sha256"])
        # Files made before the name was noted are as good.
        rest["started_from"] = saved.get("started_from", "another training" if rest["earlier_steps"] else "")
        if saved["format"] != CHECKPOINT_FORMAT:
            raise ValueError(saved["format"])
    except Exception as error:  # torch.load and what follows raise a dozen kinds on a file that is no checkpoint
        raise StyleError(
            f"{path} is not a checkpoint of this version; give one that `neural-style train` wrote."
        ) from error
    return Checkpoint(settings, network=network, **rest)
