"""Train in steps that report their losses, and keep a checkpoint from which the training resumes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DecoderSettings, DistillSettings, TrainingIntervals
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.checkpoint_file import write_checkpoint

Settings = TypeVar("Settings", bound=DecoderSettings | DistillSettings)
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class StepLosses:
    """A training after a step: the steps done, the steps in all, and the losses of that step by name."""

    step: int
    steps: int
    losses: dict[str, float]


class ResumableTraining(ABC, Generic[Settings, Network]):
    """One training of a network, which keeps the checkpoint ``path`` up to date.

    A training that resumes from its checkpoint ends with the same weights as without the break. The subclass sets
    ``optimizer`` and ``learning``, the weights that learn.
    """

    checkpoint_format: ClassVar[int]
    optimizer: torch.optim.Optimizer
    learning: list[nn.Parameter]

    def __init__(self, settings: Settings, path: Path, intervals: TrainingIntervals) -> None:
        self.settings, self.path, self.intervals = settings, path, intervals
        self.step_count = 0

    @abstractmethod
    def next_batch(self) -> Tensor:
        """Return the pictures of the next step, [N, 3, h, w]. Raises StyleError, as for a damaged photo."""

    @abstractmethod
    def step(self, batch: Tensor) -> dict[str, Tensor]:
        """Update the weights once, from pictures [N, 3, h, w]. Return the losses by name."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what the checkpoint has in addition to the settings, the step and the optimiser's state."""

    @abstractmethod
    def result(self) -> Network:
        """Return the network that is trained."""

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step_count >= self.settings.steps

    def run(self, progress: Callable[[StepLosses], bool]) -> Network:
        """Train until all steps are done, and return the result.

        ``progress`` is called at every report and every checkpoint; after the step for which it returns False the
        training stops. On a StyleError, such as that of a damaged photo, the checkpoint is written before it is raised.
        """
        go_on = True
        while go_on and not self.finished:
            try:
                batch = self.next_batch()
            except StyleError:
                self._save()
                raise
            go_on = self._report(self.step(batch), progress)
        return self.result()

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return the checkpoint, None if there is none. Raises StyleError if its format or its settings differ."""
        if not self.path.exists():
            return None
        check_untrusted_file(self.path)
        try:
            saved: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            earlier = type(self.settings)(**saved["settings"])
            ours = saved["format"] == self.checkpoint_format
        except Exception as error:  # the lines above raise many kinds of error for a file that is not a checkpoint
            raise StyleError(
                f"{self.path} is not a checkpoint of this kind of training; choose another output file."
            ) from error
        # How long and how fast it trains may change; what it learns may not.
        comparable = replace(earlier, steps=self.settings.steps, mixed_precision=self.settings.mixed_precision)
        if not ours or comparable != self.settings:
            raise StyleError(
                f"{self.path} is from a training with other settings; use the same ones, or another output file."
            )
        return saved

    def update(self, loss: Tensor) -> None:
        """Move the learning weights once against the gradient of ``loss``, clipped to a norm of 1."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate_at(self.step_count)
        loss.backward()
        nn.utils.clip_grad_norm_(self.learning, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step_count += 1

    def _report(self, losses: Mapping[str, Tensor], progress: Callable[[StepLosses], bool]) -> bool:
        """Report and save if they are due. Return whether to continue."""
        step, steps = self.step_count, self.settings.steps
        saving = step % self.intervals.save == 0 or step == steps
        if not saving and step % self.intervals.report:
            return True
        values = torch.stack([*losses.values()]).tolist()
        go_on = progress(StepLosses(step, steps, dict(zip(losses, values, strict=True))))
        if saving or not go_on:
            self._save()
        return go_on

    def _save(self) -> None:
        common = {
            "format": self.checkpoint_format,
            "settings": asdict(self.settings),
            "step": self.step_count,
            "optimizer": self.optimizer.state_dict(),
        }
        write_checkpoint(common | self.state(), self.path)
