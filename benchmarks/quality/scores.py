"""Score fast paintings and renders of held-out photos by the objective that each style was trained with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.measuring.record_files import Record, cached_record
from benchmarks.quality.style_subjects import StyleSubject, SubjectOptions
from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.devices import choose_device
from nst_core.iterative.render import IterativeProgress, RenderOptions, render
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE, appearance
from nst_core.pictures.arrays import as_array, as_tensor
from nst_core.pictures.photos import Photos
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import Style
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.picture import Picture

ORIGINS = ("noise", "photo")
PHOTOS_ON_CPU = 8


@dataclass(frozen=True)
class QualityOptions:
    """The command's options.

    Attributes:
        out: the folder for the results.
        photos: how many held-out photos; None for a default that depends on the device.
        size: the longest side of a photo in pixels.
        iterations: after how many the renders are judged, ascending.
        precision: of the renders.
    """

    subjects: SubjectOptions
    out: Path
    photos: int | None
    size: int
    iterations: tuple[int, ...]
    precision: str

    @property
    def renders(self) -> RenderPlan:
        """How the renders are made."""
        return RenderPlan(self.iterations, self.precision)


@dataclass(frozen=True)
class RenderPlan:
    """How a render is made: after which iterations it is judged (ascending), and its precision."""

    iterations: tuple[int, ...]
    precision: str


def score_styles(subjects: Sequence[StyleSubject], options: QualityOptions) -> list[Record]:
    """Return a record for each photo in each style; a photo is scored in all styles before the next one."""
    device = choose_device(options.subjects.device)
    photos = Photos(options.subjects.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    count = options.photos or (PHOTOS_ON_CPU if device.type == "cpu" else len(photos))
    pairs = [(number, subject) for number in spread_indices(len(photos), count) for subject in subjects]
    return [
        score_photo(subject, number, reduce_photo(photos.whole(number), options.size).to(device), options)
        for number, subject in tqdm(pairs, unit="picture")
    ]


def score_photo(subject: StyleSubject, number: int, photo: Tensor, options: QualityOptions) -> Record:
    """Return the record of one photo in one style.

    The renders are kept in a file of their own: they cost far more than the rest, and they stay valid when only the
    transformer network changes.
    """
    folder = options.out / "raw" / subject.style.name
    objective = subject.objective_function(photo)
    key = _fingerprint(subject, photo)
    style_file = hashlib.sha256(subject.style.path.read_bytes()).hexdigest()
    renders = cached_record(
        folder / f"{number:03}.render.json",
        f"{key} {options.iterations} {options.precision}",
        lambda: render_scores(subject, photo, number, objective, options.renders),
    )
    fast = cached_record(
        folder / f"{number:03}.fast.json",
        f"{key} {style_file} {subject.style.index}",
        lambda: _fast_scores(subject.style, photo, objective),
    )
    named = {"style": subject.style.name, "title": subject.style.title, "photo": number}
    return named | {"iterations": list(options.iterations), "fast": fast, **renders}


def reduce_photo(photo: Tensor, size: int) -> Tensor:
    """Reduce a photo's longer side to at most ``size``. Raises StyleError if that leaves too little to measure."""
    photo = resized_to_long_side(photo, min(size, max(photo.shape[-2:])))
    if min(photo.shape[-2:]) < SMALLEST_METRIC_SIDE:
        raise StyleError(
            f"At a size of {size} a photo is narrower than {SMALLEST_METRIC_SIDE} pixels; give a larger --size."
        )
    return photo


def spread_indices(available: int, count: int) -> list[int]:
    """Return the indices of ``count`` photos, evenly spread and always the same."""
    count = min(count, available)
    return [number * available // count for number in range(count)]


def _fingerprint(subject: StyleSubject, photo: Tensor) -> str:
    """Return a digest of the photo and of everything that the objective depends on."""
    digest = hashlib.sha256(repr((subject.objective, subject.style_size)).encode())
    for value in (photo, subject.style_picture, *subject.features.state_dict().values()):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _fast_scores(style: Style, photo: Tensor, objective: Callable[[Tensor], float]) -> Record:
    """Return the objective and the appearance of the fast painting of ``photo``, [1, 3, H, W] in 0..1."""
    painting = paint_photo(style, photo)
    return {"objective": objective(painting), "look": appearance(painting[0], photo[0])}


def render_scores(
    subject: StyleSubject, photo: Tensor, seed: int, objective: Callable[[Tensor], float], plan: RenderPlan
) -> Record:
    """Return the objectives of renders of ``photo``, [1, 3, H, W] in 0..1, from each of ORIGINS.

    ``look`` is the appearance of the last picture of the render from the photo. ``seed`` is that of the noise.
    """
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(seed)).to(photo.device)
    starts = dict(zip(ORIGINS, (noise, photo), strict=True))
    renders = {start: _render(subject, photo, initial, objective, plan) for start, initial in starts.items()}
    return {
        "render": {start: objectives for start, (objectives, _) in renders.items()},
        "look": appearance(renders["photo"][1][0], photo[0]),
    }


def paint_photo(style: Style, photo: Tensor) -> Tensor:
    """Paint a photo, [1, 3, H, W] in 0..1, with the default settings of fast painting on the CPU."""
    rgb = as_array(photo)
    picture = Picture(np.dstack([rgb, np.ones_like(rgb[..., :1])]))
    pixels = paint_fast(picture, {style: 1.0}, FastSettings(device="cpu")).pixels
    return as_tensor(pixels[..., :3]).contiguous().to(photo.device)


def _render(
    subject: StyleSubject, photo: Tensor, initial: Tensor, objective: Callable[[Tensor], float], plan: RenderPlan
) -> tuple[list[float], Tensor]:
    """Return the objective after each of the plan's iterations of plain L-BFGS, and the last picture.

    An iteration is one evaluation of the objective and its gradient. The picture is judged with its values clipped to
    0..1, as it would be saved; the network's are clipped too.
    """
    objectives = []

    def progress(step: IterativeProgress) -> bool:
        if step.iteration in plan.iterations:
            objectives.append(objective(step.image))
        return True

    height, width = photo.shape[-2:]
    settings = replace(
        PLAIN_SETTINGS,
        objective=subject.objective,
        size=max(height, width),
        style_scale=subject.style_size / (height * width) ** 0.5,
        optimizer="lbfgs",
        iterations=max(plan.iterations),
        precision=plan.precision,
    )
    last = render(photo, subject.style_picture, subject.features, settings, progress, RenderOptions(initial))
    # A render stops where its loss is no longer a number.
    return objectives + objectives[-1:] * (len(plan.iterations) - len(objectives)), last.image
