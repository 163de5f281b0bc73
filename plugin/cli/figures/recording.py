"""Record the losses and the pictures of a render."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nst_core.base.errors import StyleError
from plugin.cli.figures.animation import ANIMATION_SUFFIXES, check_av, write_animation
from plugin.cli.figures.plots import LOSSES_SUFFIXES, check_matplotlib, write_losses
from plugin.cli.outputs import check_folder
from plugin.engine.progress import Progress


@dataclass
class Recording:
    """The losses of a render and an animation of its pictures, if they are requested.

    Raises StyleError, before any work is done, if one of them could not be written.

    Attributes:
        losses: a table (.csv) or a plot (.png), or None.
        animation: a .gif, .webp or .mp4 with the first picture, the picture of every ``every``-th iteration, and the
            last; or None.
        every: iterations between two pictures of the animation.
    """

    losses: Path | None
    animation: Path | None
    every: int
    _rows: list[dict[str, float]] = field(default_factory=list, init=False, repr=False)
    _frames: list[np.ndarray] = field(default_factory=list, init=False, repr=False)
    _last: Progress | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for path, suffixes in ((self.losses, LOSSES_SUFFIXES), (self.animation, ANIMATION_SUFFIXES)):
            if path is None:
                continue
            check_folder(path)
            if path.suffix.lower() not in suffixes:
                raise StyleError(f"{path.name} must end in {' or '.join(sorted(suffixes))}; rename it.")
        if self.losses is not None and self.losses.suffix.lower() == ".png":
            check_matplotlib()
        if self.animation is not None and self.animation.suffix.lower() == ".mp4":
            check_av()

    def add(self, step: Progress) -> None:
        """Record an iteration."""
        if step.iteration == 1:  # also if a render starts again at a smaller size because memory is short
            self._rows.clear()
            self._frames.clear()
        self._rows.append({"iteration": step.iteration - 1, **step.losses})  # the losses before this iteration
        self._last = step
        if self.animation is not None and (step.iteration % self.every == 0 or step.iteration == 1):
            self._frames.append(_frame(step))

    def write(self) -> dict[str, str]:
        """Write what was requested. Returns the names of the files by their keys in the report."""
        if self._last is None:
            return {}
        written = {}
        if self.losses is not None:
            write_losses("Losses of the render", self._rows, self.losses)
            written["losses_file"] = str(self.losses)
        if self.animation is not None:
            ended = self._last.iteration % self.every == 0 or self._last.iteration == 1
            write_animation(self._frames if ended else [*self._frames, _frame(self._last)], self.animation)
            written["animation"] = str(self.animation)
        return written


def _frame(step: Progress) -> np.ndarray:
    assert step.preview is not None  # every iteration has one
    return np.round(step.preview * 255).astype(np.uint8)
