"""The checkpoint of a transformer network's training, from which it resumes without changing a bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, training_settings_from
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.checkpoint_file import write_checkpoint
from nst_core.fast.transformer import TransformerNetwork

TRAINING_FORMAT = 4


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A training after some step.

    Attributes:
        step: the number of steps done.
        optimizer: Adam's state dict; empty if the training cannot be resumed.
        feature_network: the name of the network that judged the paintings.
        style_sha256: checksums of the style pictures as the losses saw them, one for each style.
        photos: how many photos there were; 0 for generated pictures.
        earlier_steps: the number of steps that the network had been trained for when the training began.
        started_from: the name of the network that the training began with; empty if it began from scratch.
    """

    settings: TrainSettings
    step: int
    network: TransformerNetwork
    optimizer: dict[str, Any]
    feature_network: str
    style_sha256: tuple[str, ...]
    photos: int
    earlier_steps: int
    started_from: str = ""

    @property
    def total_steps(self) -> int:
        """The number of steps that the network has been trained for in all."""
        return self.step + self.earlier_steps

    def with_styles(self, styles: Sequence[int]) -> TrainingCheckpoint:
        """Return a copy whose network knows only these of its styles; it can be used but not resumed."""
        shape = replace(self.settings.network, styles=len(styles))
        network = TransformerNetwork(shape)
        network.start_from(self.network, styles)
        return replace(
            self,
            settings=replace(self.settings, network=shape),
            network=network,
            optimizer={},
            style_sha256=tuple(self.style_sha256[style] for style in styles),
        )


def save_training(checkpoint: TrainingCheckpoint, path: Path) -> None:
    """Write ``path``, whole or not at all. Raises StyleError if it cannot be written; the old file then stays."""
    state = {
        "format": TRAINING_FORMAT,
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
    write_checkpoint(state, path)


def load_training(path: Path) -> TrainingCheckpoint:
    """Read a file that ``save_training`` wrote, onto the CPU. Raises StyleError if ``path`` is not one."""
    if not path.exists():
        raise StyleError(f"There is no checkpoint {path}; give the file that `neural-style train` wrote.")
    check_untrusted_file(path)
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint = _checkpoint(saved)
        if saved["format"] != TRAINING_FORMAT:
            raise ValueError(saved["format"])
    except Exception as error:  # the lines above raise many kinds of error for a file that is not a checkpoint
        raise StyleError(
            f"{path} is not a checkpoint of this version; give one that `neural-style train` wrote."
        ) from error
    return checkpoint


def _checkpoint(saved: dict[str, Any]) -> TrainingCheckpoint:
    settings = training_settings_from(saved["settings"])
    network = TransformerNetwork(settings.network)
    network.load_state_dict(saved["network"])
    return TrainingCheckpoint(
        settings,
        saved["step"],
        network,
        saved["optimizer"],
        saved["feature_network"],
        tuple(saved["style_sha256"]),
        saved["photos"],
        saved["earlier_steps"],
        # Older files of this format lack the name.
        saved.get("started_from", "another training" if saved["earlier_steps"] else ""),
    )
