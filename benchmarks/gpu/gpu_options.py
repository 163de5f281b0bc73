"""The options of the GPU benchmark, and its folders and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.command import join_numbers
from benchmarks.quality.style_subjects import PAINTINGS, SubjectOptions
from nst_core.style_file import Style
from plugin.engine.fast.style_library import find_styles

SHORT_PART_SECONDS = 60  # the least time left at which a part starts that does not stop by itself


@dataclass(frozen=True)
class GpuOptions:
    """The command's options.

    Attributes:
        out, assets: the folders of results and inputs.
        minutes: when to stop; None to finish everything.
        parts: keys of GPU_PARTS, in order.
        style: names or files; None for all bundled styles.
        painting: the files of paintings that are not in PAINTINGS, by the style's name.
        batch, steps, minutes_a_style, crop, compiled: of the trainings; ``minutes_a_style`` replaces ``steps``.
        pace_batches, pace_steps: the pictures in each timed training step, and how many steps are run.
        sizes, iterations, turns, matrix, features: passed on to other benchmarks; None for their defaults.
        new_style, new_style_minutes, judged_every: which styles are trained anew, the budget of each, and the steps
            between two judgements.
        photos: how many held-out photos compare new styles with bundled ones.
    """

    out: Path
    assets: Path
    minutes: float | None
    parts: tuple[str, ...]
    style: Sequence[str] | None
    painting: Mapping[str, Path]
    device: str
    batch: int
    steps: int | None
    minutes_a_style: float | None
    crop: int
    compiled: bool
    pace_batches: tuple[int, ...]
    pace_steps: int
    sizes: tuple[int, ...] | None
    iterations: int | None
    turns: int | None
    matrix: int | None
    features: str | None
    new_style: tuple[str, ...]
    new_style_minutes: float
    judged_every: int
    photos: int

    @property
    def subjects(self) -> SubjectOptions:
        """The styles as ``benchmarks.quality`` chooses them."""
        return SubjectOptions(self.assets, self.style, self.painting, self.device)

    @property
    def training_photos(self) -> Path:
        """The photos to train with."""
        return self.assets / "photos" / "train" / "train.tar"

    @property
    def portraits(self) -> Path:
        """The file that lists the photos in which faces are counted."""
        return self.assets / "photos" / "faces.txt"

    @property
    def held_out_photos(self) -> Path:
        """The photos to judge by."""
        return self.assets / "photos" / "holdout.tar"

    @property
    def trained_styles(self) -> Path:
        """The folder of the trained styles."""
        return self.out / "styles"

    @property
    def pace_file(self) -> Path:
        """The records of the training's pace."""
        return self.out / "pace.json"

    @property
    def new_style_file(self) -> Path:
        """The records of new styles."""
        return self.out / "new-style.json"

    @property
    def fallback_file(self) -> Path:
        """The record of providers and of the fall-back to the CPU."""
        return self.out / "fall-back.json"

    @property
    def comparison_file(self) -> Path:
        """The records of new styles compared with bundled ones."""
        return self.out / "compare.json"

    def arguments(self, *names: str) -> list[str]:
        """Return the options of these names that were given, as arguments for another benchmark."""
        arguments = []
        for name in names:
            value = getattr(self, name)
            if value is not None:
                arguments += [f"--{name}", join_numbers(value) if isinstance(value, tuple) else str(value)]
        return arguments


def chosen_styles(options: GpuOptions) -> list[Style]:
    """Return the styles that were asked for, otherwise all bundled ones, the Great Wave first."""
    return [style for name in options.style or PAINTINGS for style in find_styles(name)]
