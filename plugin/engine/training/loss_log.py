"""The table of losses that a training leaves next to its style file."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from nst_core.base.files import written_whole
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
            rows = [",".join(["step", *step.losses]), *self._earlier_rows()]
            with written_whole(self.path) as partial:  # a killed training loses no row
                partial.write_text("".join(f"{row}\n" for row in rows))
            self._file = self.path.open("a", buffering=1)  # each row is on the disk at once
        print(step.step, *(f"{value:.6f}" for value in step.losses.values()), sep=",", file=self._file)

    def _earlier_rows(self) -> list[str]:
        """Return the rows up to the checkpoint, without those that are blank or damaged."""
        if not self._resumed or not self.path.exists():
            return []
        rows = self.path.read_text(errors="replace").splitlines()[1:]
        steps = [row.split(",")[0] for row in rows]
        return [row for row, step in zip(rows, steps, strict=True) if step.isdecimal() and int(step) <= self._resumed]
