"""``neural-style render``: paint a photo in the style of any picture, by optimisation in PyTorch."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.display_text import one_line
from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import (
    ITERATIVE_RANGES,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    STARTS,
    IterativeSettings,
)
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import RECORD_BASE, Recipe, as_data, from_data
from plugin.cli.many_pictures import is_batch, of_photo, paint_pictures, plan_pictures
from plugin.cli.mask_options import add_masks, check_one_photo, mask_files, read_photo
from plugin.cli.options import (
    OBJECTIVE_OPTIONS,
    RENDER_NUMBERS,
    add_number,
    add_objective,
    add_pictures,
    flag_of,
    given,
    keeps_colors,
    read_toml,
)
from plugin.cli.outputs import NamedPath, check_apart, check_folder, check_picture_output, check_room, network_files
from plugin.cli.render_regions import add_render_regions, read_regions, region_files, with_style_image
from plugin.cli.reports import Report, painting_report, say
from plugin.cli.terminal import (
    Interrupted,
    ShowStage,
    ShowStep,
    interruptible,
    interrupts_held_back,
    progress_bar,
    stage_bars,
)
from plugin.engine.batch.batch_plan import BatchTask
from plugin.engine.batch.batch_run import Batch
from plugin.engine.imaging.blend_settings import COLORS_ONLY, PHOTOS_BEFORE, BlendSettings

if TYPE_CHECKING:
    from plugin.cli.figures.recording import Recording
    from plugin.cli.picture_files import PictureFile
    from plugin.engine.imaging.picture import Picture
    from plugin.engine.iterative.iterative_painting import IterativeResult
    from plugin.engine.progress import Progress

LONGEST_SHOWN = 200  # characters of a file name in a record
SUMMARY = "Paint a photo, or many, in the style of any picture (needs PyTorch; Ctrl-C keeps what has been painted)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``render``."""
    default = IterativeSettings()
    add_pictures(parser)
    parser.add_argument("--style-image", type=Path, metavar="PAINTING", help="the picture whose style is taken")
    add_render_regions(parser)
    add_masks(parser)
    _add_recipe(parser, default)
    _add_extra_outputs(parser)
    add_objective(parser, default.objective)
    # What is not given is left to --like.
    parser.set_defaults(strength=None, features=None, pooling=None)


def _add_recipe(parser: argparse.ArgumentParser, default: IterativeSettings) -> None:
    start_from = parser.add_mutually_exclusive_group()
    start_from.add_argument("--preset", choices=PRESETS, help="start from named settings, ours or another system's")
    start_from.add_argument(
        "--like", type=Path, metavar="PICTURE", help="start from the settings that an earlier render recorded in it"
    )
    parser.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings that replace those of the preset")
    parser.add_argument(
        "--init",
        metavar="START",
        help=f"{', '.join(STARTS)} or a picture to start from (default {default.start})",
    )
    for name, text in RENDER_NUMBERS.items():
        add_number(parser, flag_of(name), ITERATIVE_RANGES[name], getattr(default, name), text, unset=True)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help=f"how exactly to compute (default {default.precision}: bfloat16 if the CPU has instructions for it)",
    )
    parser.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        help="what moves the picture "
        f"(default {default.optimizer}: lbfgs, followed by adam for compact and other distilled features)",
    )
    parser.add_argument(
        "--schedule",
        choices=SCHEDULES,
        help=f"how the learning rate changes (default {default.schedule}, falling to 0)",
    )


def _add_extra_outputs(parser: argparse.ArgumentParser) -> None:
    add_number(
        parser,
        "--checkpoint-every",
        (0, 100000),
        0,
        "iterations between two checkpoints, which are written beside the output, each with its picture; the same "
        "command resumes from the last; 0 for none",
    )
    parser.add_argument(
        "--metrics",
        action="store_true",
        help="report how far the result is from the photo and from the style (always with --json)",
    )
    parser.add_argument(
        "--losses", type=Path, metavar="FILE", help="write a table (.csv) or a plot (.png) of the losses"
    )
    parser.add_argument(
        "--animation", type=Path, metavar="FILE", help="write an animation of the render (.gif, .webp or .mp4)"
    )
    add_number(parser, "--animation-every", (1, 100000), 5, "iterations between two pictures of the animation")


def run(options: argparse.Namespace) -> Report:
    """Render the photo, or many, and write the results; Ctrl-C keeps what has been painted of one photo."""
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    options = _with_colors(with_style_image(options))
    if is_batch(options):
        return _render_many(options)
    options = of_photo(options, options.photos[0], options.output)
    check_picture_output(options.output)
    recipe, extras = _recipe(options)
    _check_files(options, recipe, extras)
    return _render(options, recipe, extras)


def _with_colors(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options with ``--colors photo`` as ``--keep-colors``. Raises StyleError for colours without paint."""
    if options.colors == COLORS_ONLY:
        raise StyleError("A render paints strokes; take only the colours with `neural-style apply --colors only`.")
    if options.colors == PHOTOS_BEFORE and (options.regions or options.style_masks):
        raise StyleError(
            f"--colors {PHOTOS_BEFORE} is for one whole style picture; leave out --region and --style-mask."
        )
    return argparse.Namespace(**vars(options) | {"keep_colors": keeps_colors(options)})


def _render_many(options: argparse.Namespace) -> Report:
    check_one_photo(options)
    for name in ("losses", "animation", "checkpoint_every"):
        if getattr(options, name):
            raise StyleError(f"{flag_of(name)} is for one photo; leave it out, or render only one photo.")
    if not options.style_image.is_file():
        raise StyleError(f"There is no picture {options.style_image}; check its name.")
    plan = plan_pictures(options, [options.style_image.stem], [options.style_image])
    recipe, extras = _recipe(options)
    for task in plan.tasks:
        _check_files(of_photo(options, task.source, task.target), recipe, extras)

    def paint_all(batch: Batch) -> None:
        def paint(task: BatchTask) -> None:
            say(options, f"{batch.done + 1} of {len(batch.tasks)}: {task.source}")
            _render(of_photo(options, task.source, task.target), recipe, extras, keep_unfinished=False)

        batch.run(paint)

    return paint_pictures(options, plan, paint_all, set()) | {
        "styles": [str(options.style_image)],
        "recipe": as_data(recipe),
    }


def _render(options: argparse.Namespace, recipe: Recipe, extras: _Extras, keep_unfinished: bool = True) -> Report:
    """Render ``options.photo`` and write it with its record.

    Raises KeyboardInterrupt after Ctrl-C if an unfinished render is not to be kept.
    """
    from plugin.cli.figures.recording import Recording
    from plugin.cli.picture_files import check_result, write_picture

    recording = Recording(options.losses, options.animation, options.animation_every)
    source = read_photo(options)
    check_result(options.output, source, recipe.settings.size)
    _check_checkpoint_fits(options, recipe.settings, source.picture)
    leftovers = _leftovers(options)
    for note in leftovers:
        say(options, note)
    result, checkpoint_pictures = _paint(options, recipe, extras, source, recording)
    record = {
        "recipe": as_data(result.recipe),
        "style": options.style_image.name,
        "feature_network": result.feature_network,
        **asdict(extras),
        **(
            {"regions": [f"{region.mask.name}={Path(region.style).name}" for region in options.regions]}
            if options.regions
            else {}
        ),
    }
    if not (result.finished or keep_unfinished):
        raise KeyboardInterrupt
    with interrupts_held_back():  # Ctrl-C keeps what has been painted
        write_picture(source, result.pixels, options.output, record)
    if result.finished and (checkpoint := _checkpoint(options)):
        checkpoint.unlink(missing_ok=True)
    files = recording.write()
    _describe(options, result, [*checkpoint_pictures, *files.values()])
    return painting_report(options, result.pixels, result.seconds) | {
        "style": str(options.style_image),
        "provider": result.device,
        "feature_network": result.feature_network,
        "recipe": as_data(result.recipe),
        "notes": [*source.notes, *leftovers, *result.notes],
        "iterations": result.iterations,
        "losses": result.losses[-1] if result.losses else {},
        "metrics": {name: round(value, 4) for name, value in result.metrics.items()},
        "checkpoint_pictures": checkpoint_pictures,
        **files,
    }


@dataclass(frozen=True)
class _Extras:
    """The entries of a picture's record besides the recipe.

    Attributes:
        strength: percent of the style in the result.
        keep_colors: whether the colours stay the photo's, by luminance alone.
        colors_before: whether the style picture is given the photo's colours beforehand.
        initial: the name of a picture to start from, or None.
        reference_photos: the name of the photos that scale the feature network, or None.
    """

    strength: float = 100.0
    keep_colors: bool = False
    colors_before: bool = False
    initial: str | None = None
    reference_photos: str | None = None


def _recipe(options: argparse.Namespace) -> tuple[Recipe, _Extras]:
    """Return the recipe and the extras of a preset or an earlier result, changed by the options that were given."""
    base, extras = PRESETS[options.preset or "default"], _Extras()
    if options.like is not None:
        base, extras = _recorded(options)
    if options.settings is not None:
        base = from_data(read_toml(options.settings), base, f"{options.settings}: ")
    changes = given(options, (*RENDER_NUMBERS, "optimizer", "schedule", "precision", "features", "pooling"))
    if options.init in STARTS:
        changes["start"], extras = options.init, replace(extras, initial=None)
    elif options.init is not None:
        extras = replace(extras, initial=options.init)
    extras = replace(extras, **given(options, ("strength", "keep_colors")))
    if options.colors == PHOTOS_BEFORE:
        extras = replace(extras, colors_before=True)
    if options.reference_photos is not None:
        extras = replace(extras, reference_photos=str(options.reference_photos))
    return from_data(changes | {"objective": given(options, OBJECTIVE_OPTIONS)}, base), extras


def _recorded(options: argparse.Namespace) -> tuple[Recipe, _Extras]:
    """Return the recipe and the extras that an earlier render recorded in the picture of ``--like``.

    Files that the record names are not read, because the picture may come from anyone: a name may stand for a whole
    disk, a device or a computer on the network. Raises StyleError if the user does not give them too.
    """
    from nst_core.features.catalogue import is_known
    from plugin.cli.picture_files import read_record

    record = read_record(options.like)
    kinds: dict[str, type | tuple[type, ...]] = {
        "strength": (int, float),
        "keep_colors": bool,
        "colors_before": bool,
        "initial": str,
        "reference_photos": str,
    }
    extras = _Extras(**{name: record[name] for name, kind in kinds.items() if isinstance(record.get(name), kind)})
    recipe = from_data(record.get("recipe", {}), RECORD_BASE, f"{options.like}: ")
    files = {
        "init": extras.initial,
        "reference_photos": extras.reference_photos,
        "features": None if is_known(recipe.features) else recipe.features,
    }
    for name, file in files.items():
        if file is not None and getattr(options, name) is None:
            raise StyleError(
                f"{options.like} was painted with {flag_of(name)} {one_line(file, LONGEST_SHOWN)}; give that option "
                "too, if the file is yours, or another value."
            )
    return recipe, extras


def _check_files(options: argparse.Namespace, recipe: Recipe, extras: _Extras) -> None:
    """Raise StyleError if the render could not write one of its files, or would overwrite what it reads."""
    inputs: list[NamedPath] = [
        ("photo", options.photo),
        ("style picture", options.style_image),
        *mask_files(options),
        *region_files(options),
        ("settings file", options.settings),
        ("picture of --like", options.like),
        ("picture of --init", Path(extras.initial) if extras.initial else None),
        ("reference photos", Path(extras.reference_photos) if extras.reference_photos else None),
        *network_files(recipe.features),
    ]
    outputs: list[NamedPath] = [
        ("output", options.output),
        ("file of --losses", options.losses),
        ("file of --animation", options.animation),
        ("checkpoint", _checkpoint(options)),
    ]
    check_apart(outputs, inputs)
    if checkpoint := _checkpoint(options):
        check_folder(checkpoint)
        check_folder(_checkpoint_picture(options, recipe.settings.iterations))
        others = [path for _, path in (*inputs, *outputs) if path is not None]
        check_apart(_checkpoint_pictures(options, others), [*inputs, *outputs])


def _checkpoint_pictures(options: argparse.Namespace, others: Iterable[Path]) -> list[NamedPath]:
    """Return those pictures of checkpoints that exist already or are named like one of ``others``."""
    output: Path = options.output
    name = re.compile(re.escape(output.stem) + r"-([1-9]\d*)" + re.escape(output.suffix))
    candidates = [output.with_name(path.name) for other in others for path in (other, Path(os.path.realpath(other)))]
    return [
        ("picture of a checkpoint", path)
        for path in dict.fromkeys([*candidates, *output.parent.iterdir()])
        if (match := name.fullmatch(path.name)) and int(match[1]) % options.checkpoint_every == 0
    ]


def _checkpoint(options: argparse.Namespace) -> Path | None:
    """Return the checkpoint, or None if the render has none."""
    return _checkpoint_beside(options.output) if options.checkpoint_every else None


def _check_checkpoint_fits(options: argparse.Namespace, settings: IterativeSettings, photo: Picture) -> None:
    """Raise StyleError if the disk certainly lacks room for the checkpoint."""
    from nst_core.iterative.stages import checkpoint_bytes

    if (checkpoint := _checkpoint(options)) and options.checkpoint_every <= settings.iterations:
        check_room(checkpoint, checkpoint_bytes(settings, photo.height, photo.width), "The checkpoint")


def _checkpoint_beside(output: Path) -> Path:
    return output.with_suffix(".checkpoint")


def _checkpoint_picture(options: argparse.Namespace, iteration: int) -> Path:
    output: Path = options.output
    return output.with_stem(f"{output.stem}-{iteration}")


def _leftovers(options: argparse.Namespace) -> list[str]:
    """Return a sentence about the checkpoint of an earlier render, if there is one that this render does not use."""
    path = _checkpoint_beside(options.output)
    if options.checkpoint_every or not path.exists():
        return []
    return [f"{path} is left from an interrupted render; continue that with --checkpoint-every, or remove the file."]


def _paint(
    options: argparse.Namespace, recipe: Recipe, extras: _Extras, source: PictureFile, recording: Recording
) -> tuple[IterativeResult, list[str]]:
    """Return the result, and the names of the pictures that were written with the checkpoints."""
    from plugin.cli.picture_files import read_input
    from plugin.engine.imaging.colour_matching import ColourStatistics, with_colours_of
    from plugin.engine.iterative.iterative_painting import IterativeOptions, paint_iteratively

    style = read_input(options, options.style_image)
    if extras.colors_before:
        style = with_colours_of(style, ColourStatistics.of(source.picture))
    render_options = IterativeOptions(
        device=options.device,
        initial=read_input(options, Path(extras.initial)) if extras.initial else None,
        reference_photos=Path(extras.reference_photos) if extras.reference_photos else None,
        checkpoint=_checkpoint(options),
        checkpoint_every=options.checkpoint_every,
        measure=options.metrics or options.json,
        regions=read_regions(options, source.picture),
    )
    blend = BlendSettings(extras.strength, extras.keep_colors)
    with (
        interruptible() as interrupted,
        stage_bars() as show_stage,
        progress_bar(recipe.settings.iterations) as show_step,
    ):
        observer = _Observer(options, source, recording, interrupted, show_stage, show_step)
        result = paint_iteratively(source.picture, style, recipe, observer.observe, blend, render_options)
    return result, observer.checkpoint_pictures


@dataclass(eq=False)
class _Observer:
    """Show the progress of a render, record it, and write a picture with each checkpoint."""

    options: argparse.Namespace
    source: PictureFile
    recording: Recording
    interrupted: Interrupted
    show_stage: ShowStage
    show_step: ShowStep
    checkpoint_pictures: list[str] = field(default_factory=list)

    def observe(self, step: Progress) -> bool:
        """Take note of a step. Returns False to stop the render, after Ctrl-C."""
        self.show_stage(step.stage, 0.0 if step.iteration else step.fraction)
        if not step.iteration:
            return True
        stop = self.interrupted()
        self.show_step(step.iteration, step.losses, step.iterations)
        self.recording.add(step)
        every = self.options.checkpoint_every
        if every and step.iteration % every == 0 and step.iteration < step.iterations:
            self._write_checkpoint_picture(step)
        return not stop

    def _write_checkpoint_picture(self, step: Progress) -> None:
        from plugin.cli.picture_files import write_picture

        assert step.preview is not None  # every iteration has one
        path = _checkpoint_picture(self.options, step.iteration)
        write_picture(replace(self.source, has_alpha=False), step.preview, path)
        self.checkpoint_pictures.append(str(path))


def _describe(options: argparse.Namespace, result: IterativeResult, files: list[str]) -> None:
    for note in result.notes:
        say(options, note)
    say(
        options,
        f"{options.output}: {result.iterations} iterations on {result.device} with the features of "
        f"{result.feature_network}, {result.seconds['total']:.1f} s",
    )
    for name, value in result.metrics.items():
        say(options, f"{name}: {value:.3f}")
    for file in files:
        say(options, file)
