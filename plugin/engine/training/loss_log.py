"""The table of losses that a training leaves next to its style file."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from nst_core.fast.train import TrainProgress


class LossLog:
    """A CSV file with a row for each reported step, created with the first of them.

    A training that resumes after the step ``resumed`` continues the file.
    """

    def __init__(self, path: Path, resumed: int = 0) -> None:
        self.path, self._resumed = path, resumed
        self._file: TextIO | None = None

    def __enter__(self) -> LossLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, step: TrainProgress) -> None:
        """Append the losses of ``step``. Rows later than the checkpoint that the training resumed from are dropped."""
        if self._file is None:
            earlier = self.path.read_text().splitlines()[1:] if self._resumed and self.path.exists() else []
            kept = [row for row in earlier if int(row.split(",")[0]) <= self._resumed]
            self._file = self.path.open("w")
            print("step", *step.losses, sep=",", file=self._file)
            for row in kept:
                print(row, file=self._file)
        print(step.step, *(f"{value:.6f}" for value in step.losses.values()), sep=",", file=self._file)
