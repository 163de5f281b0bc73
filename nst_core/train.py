"""Trains a feed-forward network for one style (Johnson et al. 2016), resumable to the bit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nst_core.errors import StyleError
from nst_core.features import FeatureNetwork
from nst_core.objective import Objective, ObjectiveSettings
from nst_core.photos import Photos
from nst_core.pictures import resized_to_area
from nst_core.transformer import TransformerNetwork, TransformerSettings

CHECKPOINT_FORMAT = 1


@dataclass(frozen=True)
class TrainSettings:
    """One training run.

    Attributes:
        steps: updates in all; the learning rate falls linearly to nothing over the last ``cooldown`` of them.
        batch, crop: photos a step, and their height and width in pixels.
        style_size: the style picture is scaled to about this many pixels squared: larger means larger strokes.
        shift: the result is cropped by 0 to this many pixels before it is judged. Without it the network learns
            where the feature network's pooling grid lies and hides a fine hatching there.
    """

    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    network: TransformerSettings = field(default_factory=TransformerSettings)
    steps: int = 2000
    batch: int = 4
    crop: int = 256
    style_size: int = 384
    shift: int = 3
    learning_rate: float = 1e-3
    cooldown: float = 0.3
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update ``step`` (0-based)."""
        return self.learning_rate * min(1.0, (self.steps - step) / max(1.0, self.cooldown * self.steps))


@dataclass(frozen=True)
class TrainProgress:
    """Reported after every step: weighted losses by name, and the live network for previews."""

    step: int
    steps: int
    losses: dict[str, float]
    network: TransformerNetwork


@dataclass(frozen=True)
class Checkpoint:
    """What a training run leaves: its settings, how far it came, the network, and what it learned from."""

    settings: TrainSettings
    step: int
    network: TransformerNetwork
    optimizer: dict
    feature_network: str
    photos: int


def train(
    style: Tensor,
    photos: Photos,
    features: FeatureNetwork,
    settings: TrainSettings,
    progress: Callable[[TrainProgress], bool],
    checkpoint: Path,
    save_every: int = 100,
) -> Checkpoint:
    """Train towards ``style`` ([1, 3, h, w], RGB, sRGB-encoded 0..1) and keep ``checkpoint`` up to date.

    If the file exists, training goes on from it: the result is the same as without the break. Stops after the step
    for which ``progress`` returns False. Raises StyleError if the checkpoint is another run's.
    """
    device = style.device
    # Channels last is a sixth faster on a CPU and what tensor cores want.
    features = features.to(device, memory_format=torch.channels_last)
    objective = Objective(features, settings.objective, resized_to_area(style, settings.style_size))
    torch.manual_seed(settings.seed)
    network = TransformerNetwork(settings.network).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    first = 0
    if checkpoint.exists():
        earlier = load_checkpoint(checkpoint)
        if replace(earlier.settings, steps=settings.steps) != settings:
            raise StyleError(f"{checkpoint} is from a training with other settings; use its settings or another file.")
        network.load_state_dict(earlier.network.state_dict())
        optimizer.load_state_dict(earlier.optimizer)
        first = earlier.step

    def state(step: int) -> Checkpoint:
        return Checkpoint(settings, step, network, optimizer.state_dict(), features.name, len(photos))

    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(step)
        batch = photos.batch(step, settings.batch, settings.crop, settings.seed).to(device, memory_format=torch.channels_last)
        x, y = np.random.default_rng([settings.seed, step, 1]).integers(0, settings.shift + 1, 2)
        optimizer.zero_grad()
        styled = network(batch)[..., y:, x:]
        found = objective(styled, objective.content_targets(batch[..., y:, x:]))
        found["total"].backward()
        optimizer.step()
        done = step + 1
        go_on = progress(TrainProgress(done, settings.steps, {k: v.item() for k, v in found.items()}, network))
        if done % save_every == 0 or done == settings.steps or not go_on:
            save_checkpoint(state(done), checkpoint)
        if not go_on:
            return state(done)
    return state(max(first, settings.steps))


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write ``path`` whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        torch.save(
            {
                "format": CHECKPOINT_FORMAT,
                "settings": asdict(checkpoint.settings),
                "step": checkpoint.step,
                "network": checkpoint.network.state(),
                "optimizer": checkpoint.optimizer,
                "feature_network": checkpoint.feature_network,
                "photos": checkpoint.photos,
            },
            partial,
        )
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        partial.unlink(missing_ok=True)
        raise StyleError(f"The checkpoint {path} cannot be written ({error}); free some space and resume.") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what ``save_checkpoint`` wrote. Raises StyleError if ``path`` is something else."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["format"] != CHECKPOINT_FORMAT:
            raise StyleError(f"{path} is of checkpoint format {saved['format']}; this version reads {CHECKPOINT_FORMAT}.")
        settings = dict(saved["settings"])
        objective = ObjectiveSettings(**settings.pop("objective"))
        network = TransformerSettings(**settings.pop("network"))
        return Checkpoint(
            TrainSettings(objective=objective, network=network, **settings),
            saved["step"],
            TransformerNetwork.from_state(saved["network"]),
            saved["optimizer"],
            saved["feature_network"],
            saved["photos"],
        )
    except StyleError:
        raise
    except FileNotFoundError as error:
        raise StyleError(f"There is no checkpoint {path}; give the file that `neural-style train` wrote.") from error
    except Exception as error:  # torch.load raises a dozen kinds on a file that is no checkpoint
        raise StyleError(f"{path} is not a checkpoint of this program; give one that `neural-style train` wrote.") from error
