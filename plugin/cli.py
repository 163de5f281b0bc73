"""``neural-style``: the command line, one more host of the engine.

Every command is a function from parsed arguments to a report (a dict), which ``--json`` prints as it is. PyTorch is
imported only by the commands that need it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

from nst_core.errors import StyleError
from nst_core.recipes import PRESETS, Recipe, as_data, from_data, objective_from_data
from nst_core.settings import (
    DEVICES,
    GATYS_STYLE_LAYERS,
    OPTIMIZERS,
    POOLINGS,
    PRECISIONS,
    RANGES,
    SCHEDULES,
    STARTS,
    STYLE_LOSSES,
    DistillSettings,
    ObjectiveSettings,
    TrainSettings,
    TransformerSettings,
)
from plugin.terminal import bar, interruptible, one_voice, stages, training_bar

Report = dict[str, Any]
RENDER_OPTIONS = {
    "size": "pixels of the result's longer side",
    "coarsest": "paint at sizes that grow by the root of 2 from about this one; 0 for one size",
    "iterations": "steps of the optimiser at the result's size",
    "smaller_iterations": "steps at each of the smaller sizes; 0 for as many",
    "first_iterations": "steps at the first of several sizes; 0 for as many as at the other smaller ones",
    "style_scale": "size of the strokes",
    "learning_rate": "step of Adam or of gradient descent",
    "precondition": "how much L-BFGS prefers broad changes to fine ones; 0 for plain L-BFGS",
    "average": "decay of the average of the pictures that is the result; 0 for the last picture",
    "shift": "pixels by which the picture is moved between steps, but for L-BFGS",
    "seed": "start of all randomness",
    "noise": "contrast of the noise that --init noise begins with",
}
STUDY_OPTIONS = {
    "size": "pixels of the pictures' longer side",
    "iterations": "steps of the optimiser in each render",
    **{name: RENDER_OPTIONS[name] for name in ("style_scale", "learning_rate", "shift", "seed")},
}
OBJECTIVE_OPTIONS = (
    *("content_layers", "style_layers", "style_loss"),
    *("content_weight", "style_weight", "tv_weight", "tv_exponent"),
)


@one_voice()
def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input, 130 for a cancelled run, 141 for a closed pipe."""
    options = parser().parse_args(arguments)
    try:
        report = options.command(options)
        if options.json:
            print(json.dumps(report, ensure_ascii=False))
        sys.stdout.flush()
    except StyleError as error:
        print(f"neural-style: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said, not even by the interpreter at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"neural-style: {error.filename}: {error.strerror}; mend that or choose another file.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("neural-style: cancelled", file=sys.stderr)
        return 130
    return 0


# ---- the commands -----------------------------------------------------------------------------------------------


def apply(options: argparse.Namespace) -> Report:
    """A bundled or own style, through ONNX Runtime."""
    from plugin.engine.style_library import find_styles
    from plugin.engine.stylize import StylizeSettings, stylize
    from plugin.picture_files import check_output, read_picture, write_picture

    styles = find_styles(options.style)
    check_output(options.output)
    source = read_picture(options.photo)
    settings = StylizeSettings(
        strength=options.strength,
        stroke_size=options.stroke_size,
        full_resolution=options.full_resolution,
        keep_colors=bool(options.keep_colors),
        device=options.device,
    )
    done = stylize(source.picture, styles, settings)
    write_picture(source, done.pixels, options.output)
    titles = " + ".join(style.title for style in styles)
    _say(
        options,
        f"{options.output}: {titles}, by {done.provider.name} ({done.provider.reason}), {done.seconds['total']:.1f} s",
    )
    return _report(options, done.pixels, done.seconds) | {
        "style": ",".join(f"{style.name}:{share:g}" if share < 1 else style.name for style, share in styles.items()),
        "provider": done.provider.name,
        "provider_reason": done.provider.reason,
    }


def render(options: argparse.Namespace) -> Report:
    """Any picture as the style, by optimisation in PyTorch; Ctrl-C keeps what there is."""
    from plugin.engine.render import render, require_torch
    from plugin.figures import Recording
    from plugin.picture_files import check_output, read_picture, write_picture

    require_torch()
    check_output(options.output)
    recipe, others = _recipe(options)
    recording = Recording(options.losses, options.animation, options.animation_every)
    source, style = read_picture(options.photo), read_picture(options.style_image)
    initial = read_picture(Path(others["initial"])).picture if others["initial"] else None
    every = options.checkpoint_every
    checkpoint, checkpoint_pictures = options.output.with_suffix(".checkpoint") if every else None, list[str]()
    with interruptible() as interrupted, stages() as stage, bar(recipe.settings.iterations) as show:

        def progress(step) -> bool:
            stage(step.stage, 0.0 if step.iteration else step.fraction)
            if not step.iteration:
                return True
            stop = interrupted()
            show(step.iteration, step.losses, step.iterations)
            recording.add(step)
            if every and step.iteration % every == 0 and step.iteration < step.iterations:
                path = options.output.with_stem(f"{options.output.stem}-{step.iteration}")
                write_picture(replace(source, has_alpha=False), step.preview, path)
                checkpoint_pictures.append(str(path))
            return not stop

        done = render(
            source.picture,
            style.picture,
            recipe.settings,
            progress,
            features=recipe.features,
            pooling=recipe.pooling,
            reference_photos=Path(others["reference_photos"]) if others["reference_photos"] else None,
            strength=others["strength"],
            keep_colors=others["keep_colors"],
            device=options.device,
            initial=initial,
            checkpoint=checkpoint,
            checkpoint_every=every,
            measure=options.metrics or options.json,
        )
    record = {
        "recipe": as_data(done.recipe),
        "style": options.style_image.name,
        "feature_network": done.feature_network,
        **others,
    }
    write_picture(source, done.pixels, options.output, record)
    if checkpoint and done.finished:
        checkpoint.unlink(missing_ok=True)
    files = recording.write()
    for note in done.notes:
        _say(options, note)
    _say(
        options,
        f"{options.output}: {done.iterations} iterations on {done.device} with the features of "
        f"{done.feature_network}, {done.seconds['total']:.1f} s",
    )
    for name, value in done.metrics.items():
        _say(options, f"{name}: {value:.3f}")
    for file in (*checkpoint_pictures, *files.values()):
        _say(options, file)
    return _report(options, done.pixels, done.seconds) | {
        "style": str(options.style_image),
        "provider": done.device,
        "feature_network": done.feature_network,
        "recipe": as_data(done.recipe),
        "notes": done.notes,
        "iterations": done.iterations,
        "losses": done.losses[-1] if done.losses else {},
        "metrics": {name: round(value, 4) for name, value in done.metrics.items()},
        "checkpoint_pictures": checkpoint_pictures,
        **files,
    }


def study(options: argparse.Namespace) -> Report:
    """Sheets of pictures and tables that show what a layer knows or what a setting does."""
    from plugin.engine.render import require_torch
    from plugin.studies import KINDS, run_study

    require_torch()
    given = _given(options, (*STUDY_OPTIONS, "optimizer"))
    chosen = {"objective": _given(options, OBJECTIVE_OPTIONS)}
    recipe = from_data(given | chosen, Recipe(KINDS[options.name].defaults))
    with stages() as stage, bar(0) as show:
        report = run_study(
            options.name,
            options.picture,
            options.style_image,
            options.output,
            recipe.settings,
            lambda step: show(step.done, step.losses, step.total),
            stage,
            features=options.features,
            pooling=options.pooling,
            device=options.device,
            reference_photos=options.reference_photos,
            content_weights=options.content_weights or (),
        )
    for file in report["files"]:
        _say(options, file)
    return report


def train(options: argparse.Namespace) -> Report:
    """From a painting to a style file, by way of a checkpoint that a second call resumes; Ctrl-C keeps it."""
    _check_style_output(options.output)
    from nst_core import parallel
    from plugin import training

    settings = TrainSettings(
        objective=objective_from_data(_given(options, OBJECTIVE_OPTIONS), TrainSettings().objective),
        network=TransformerSettings(options.width, end_kernel=options.end_kernel, styles=len(options.paintings)),
        **_given(options, ("steps", "minutes")),
        batch=options.batch,
        crop=options.crop,
        style_size=options.style_size,
        learning_rate=options.learning_rate,
        mixed_precision=options.mixed_precision,
        seed=options.seed,
    )
    with parallel.joined(options.device), training_bar(settings.steps) as (progress, stage):
        report = training.train_styles(
            options.paintings,
            options.photos,
            options.output,
            settings,
            _cards(options, [path.stem.replace("_", " ").title() for path in options.paintings]),
            progress,
            stage,
            features=options.features,
            pooling=options.pooling,
            reference_photos=options.reference_photos,
            device=options.device,
            start=options.start_from,
            from_scratch=options.from_scratch,
        )
    learned_from = f"{report['photos']} photos" if report["photos"] else "shapes drawn at random, for want of --photos"
    began = f"beginning with {report['started_from']}" if report["started_from"] else "from scratch"
    if not (report["started_from"] or report["resumed"] or options.from_scratch):
        began += " (no bundled style has a network of this shape)"
    _say(
        options,
        f"{options.output}: {report['steps']} steps {began}, on {learned_from}, with the features of "
        f"{report['feature_network']}; go on with the same command and a larger "
        f"{'--minutes' if options.minutes else '--steps'}",
    )
    if skipped := report["photos_skipped"]:
        _say(options, f"{len(skipped)} of the photos damaged or too small, and skipped: {', '.join(skipped)}")
    return report


def distill(options: argparse.Namespace) -> Report:
    """A small feature network from a large one; Ctrl-C keeps it, the same command resumes."""
    from plugin.engine.render import require_torch
    from plugin.picture_files import check_folder

    require_torch()
    check_folder(options.output)
    from plugin import training

    names = {field.name for field in fields(DistillSettings)} & vars(options).keys()
    settings = DistillSettings(**{name: getattr(options, name) for name in names})
    with training_bar(settings.steps) as (progress, stage):
        report = training.distill_features(
            options.photos,
            options.paintings,
            options.output,
            settings,
            progress,
            stage,
            teacher=options.teacher,
            start=options.start_from,
            device=options.device,
            held_out=options.held_out,
        )
    for layer, value in report.get("agreement", {}).items():
        _say(options, f"{layer}: correlation {value:.3f}")
    _say(options, f"{options.output}: {report['steps']} steps")
    return report


def export(options: argparse.Namespace) -> Report:
    """A checkpoint to a style file."""
    _check_style_output(options.output)
    from plugin import training

    cards = _cards(options, [options.output.stem])
    report = training.export_checkpoint(options.checkpoint, cards, options.output, options.leave_out)
    _say(options, f"{options.output}: differs from PyTorch by at most {report['difference']:.1e}")
    return report


def import_(options: argparse.Namespace) -> Report:
    """A network made elsewhere to a style file."""
    _check_style_output(options.output)
    from plugin import training

    report = training.import_network(options.source, _cards(options, [options.output.stem]), options.output)
    _say(options, f"{options.output}: {report['layout']}, differs from it by at most {report['difference']:.1e}")
    return report


def styles(options: argparse.Namespace) -> Report:
    """The styles there are."""
    from plugin.engine.style_library import read_library

    library = read_library()
    for style in library.styles.values():
        _say(
            options,
            f"{style.name:20} {style.title}{f', {style.artist}' if style.artist else ''}"
            f"{f' ({style.year})' if style.year else ''}",
        )
    for reason in library.left_out:
        print(f"neural-style: left out: {reason}", file=sys.stderr)
    return {
        "styles": [
            {key: getattr(style, key) for key in ("name", "title", "artist", "year", "licence")}
            | {"path": str(style.path), "trained": style.trained}
            for style in library.styles.values()
        ],
        "left_out": library.left_out,
    }


def doctor(options: argparse.Namespace) -> Report:
    """What is installed, what is found, and what is missing."""
    from plugin.doctor import examine

    report = examine()
    if not options.json:
        for key, value in report.items():
            print(
                f"{key}:",
                *(value if isinstance(value, list) else [value]),
                sep="\n  " if isinstance(value, list) else " ",
            )
    return report


# ---- the arguments ----------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"neural-style: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line. Defaults come from the settings that they fill."""
    top = _Parser(prog="neural-style", description="Paint a photo in the style of a painting.")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    training = TrainSettings()

    def command(function: Callable[[argparse.Namespace], Report], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(function.__name__.rstrip("_"), help=text, description=text)
        sub.set_defaults(command=function)
        sub.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        return sub

    def number(
        sub: argparse._ActionsContainer,
        name: str,
        low: float,
        high: float,
        default: float,
        text: str,
        preset: bool = False,
    ) -> None:
        sub.add_argument(
            name,
            type=_within(type(default), low, high),
            default=None if preset else default,
            metavar="N",
            help=f"{text} ({low:g}-{high:g}, default {default:g})",
        )

    def picture(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("photo", type=Path, metavar="PHOTO", help="the picture to paint")
        sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="where the result goes")
        number(sub, "--strength", 0.0, 100.0, 100.0, "percent of the style in the result")
        sub.add_argument(
            "--keep-colors",
            action=argparse.BooleanOptionalAction,
            help="paint the luminance only, in the photo's colours",
        )
        sub.add_argument("--device", choices=DEVICES, default="auto", help="what computes (default auto)")

    def objective(sub: argparse.ArgumentParser, values: ObjectiveSettings) -> None:
        sub.add_argument(
            "--features",
            default="auto",
            metavar="NET",
            help="compact, vgg19, vgg16, a weights file, or several joined by + "
            "(default auto: vgg19 if it is on disk, else compact)",
        )
        sub.add_argument("--pooling", choices=POOLINGS, default="max")
        sub.add_argument(
            "--reference-photos",
            type=Path,
            metavar="PLACE",
            help="scale the feature network to a mean activation of 1 over these photos, a folder or a tar",
        )
        for name, layers in (("content", values.content_layers), ("style", values.style_layers)):
            sub.add_argument(
                f"--{name}-layers",
                metavar="LAYERS",
                help=f"layers of the {name} loss, with commas, and weights such as relu3_1=0.5 "
                f"(default {','.join(layers)})",
            )
        sub.add_argument("--style-loss", choices=STYLE_LOSSES, help="Gram matrices or Wasserstein-2 (default gram)")
        for name, text in (
            ("content_weight", "how much the photo counts"),
            ("style_weight", "how much the painting counts"),
            ("tv_weight", "how much smoothness counts"),
            ("tv_exponent", "the power of neighbours' differences in that"),
        ):
            number(sub, f"--{name.replace('_', '-')}", *RANGES[name], getattr(values, name), text, preset=True)

    def card(sub: argparse.ArgumentParser) -> None:
        for name, text in (
            ("title", "title in the list of styles"),
            ("artist", "who painted it"),
            ("year", "when"),
            ("licence", "rights of the artwork"),
            ("name", "name for --style (made from the title if not given)"),
        ):
            sub.add_argument(f"--{name}", default="", metavar="TEXT", help=text)
        sub.add_argument("--cards", type=Path, metavar="FILE.toml", help="the same of several styles: [[style]] each")

    def study_arguments(sub: argparse.ArgumentParser) -> None:
        from plugin.studies import KINDS

        usual = next(kind.defaults for kind in KINDS.values() if kind.two_pictures)
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        sub.epilog = "studies:\n" + "\n".join(f"  {name:24}{kind.text}" for name, kind in KINDS.items())
        sub.add_argument("name", choices=KINDS, metavar="NAME", help="one of the studies below")
        sub.add_argument("picture", type=Path, metavar="PICTURE", help="the photo; the painting for its style alone")
        sub.add_argument("--style-image", type=Path, metavar="PAINTING", help="for studies of both")
        sub.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the sheets go")
        for name, text in STUDY_OPTIONS.items():
            number(sub, f"--{name.replace('_', '-')}", *RANGES[name], getattr(usual, name), text, preset=True)
        sub.add_argument("--optimizer", choices=OPTIMIZERS, help=f"(default {usual.optimizer})")
        sub.add_argument(
            "--content-weights", type=_numbers, metavar="N,N,...", help="those that the study `weights` compares"
        )
        sub.add_argument("--device", choices=DEVICES, default="auto", help="what computes (default auto)")
        objective(sub, usual.objective)

    sub = command(apply, "Paint a photo in a bundled or own style.")
    picture(sub)
    sub.add_argument(
        "--style",
        required=True,
        metavar="STYLE",
        help="a style's name, a mixture such as great-wave:0.6,udnie:0.4, or an .onnx style file",
    )
    number(sub, "--stroke-size", 50.0, 200.0, 100.0, "size of the strokes, in percent of the trained size")
    sub.add_argument(
        "--full-resolution",
        action="store_true",
        help="strokes of so many pixels of the photo itself, which look finer the larger it is; by default they are "
        "relative to the picture",
    )

    sub = command(render, "Paint a photo in the style of any picture (needs PyTorch; Ctrl-C keeps what there is).")
    picture(sub)
    sub.add_argument("--style-image", type=Path, required=True, metavar="PAINTING")
    begin = sub.add_mutually_exclusive_group()
    begin.add_argument("--preset", choices=PRESETS, help="settings to begin with, of this or another system")
    begin.add_argument(
        "--like", type=Path, metavar="PICTURE", help="the settings that an earlier render recorded in it"
    )
    sub.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings in place of those of the preset")
    sub.add_argument(
        "--init", metavar="START", help=f"{', '.join(STARTS)} or a picture to start from (default content)"
    )
    usual = PRESETS["default"].settings
    for name, text in RENDER_OPTIONS.items():
        number(sub, f"--{name.replace('_', '-')}", *RANGES[name], getattr(usual, name), text, preset=True)
    sub.add_argument("--precision", choices=PRECISIONS, help="(default auto: bfloat16 if the processor is made for it)")
    sub.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        help="(default auto: adam for compact and other features that were distilled, else lbfgs)",
    )
    sub.add_argument("--schedule", choices=SCHEDULES, help="how the learning rate changes (default linear, to nothing)")
    number(
        sub,
        "--checkpoint-every",
        0,
        100000,
        0,
        "iterations between two checkpoints, beside the output, each with its picture; the same command goes on from "
        "the last; 0 for none",
    )
    sub.add_argument(
        "--metrics",
        action="store_true",
        help="say how far the result is from the photo and from the style (with --json always)",
    )
    sub.add_argument("--losses", type=Path, metavar="FILE", help="a table (.csv) or a plot (.png) of the losses")
    sub.add_argument("--animation", type=Path, metavar="FILE", help="how the picture came about (.gif, .webp or .mp4)")
    number(sub, "--animation-every", 1, 100000, 5, "iterations between two pictures of the animation")
    objective(sub, usual.objective)
    sub.set_defaults(strength=None, features=None, pooling=None)

    sub = command(study, "Show what a layer knows or what a setting does, in sheets and tables (needs PyTorch).")
    study_arguments(sub)

    sub = command(
        train,
        "Train a fast style from a painting, or several (needs PyTorch; Ctrl-C keeps it, the same command resumes).",
    )
    sub.add_argument("paintings", type=Path, nargs="+", metavar="PAINTING", help="several share one network")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx", help="the style file")
    sub.add_argument(
        "--photos",
        type=Path,
        metavar="PLACE",
        help="a folder or a tar of training photos; without it, the network learns from shapes drawn at random",
    )
    sub.add_argument("--device", choices=DEVICES, default="auto")
    begin = sub.add_mutually_exclusive_group()
    begin.add_argument(
        "--start-from",
        type=Path,
        metavar="FILE",
        help="begin with this style file or checkpoint (default: the bundled style that is nearest to the painting)",
    )
    begin.add_argument("--from-scratch", action="store_true", help="begin with a network that has learned nothing")
    budget = sub.add_mutually_exclusive_group()
    number(budget, "--steps", 1, 10**7, training.steps, "training steps in all", preset=True)
    budget.add_argument(
        "--minutes",
        type=_within(float, 0.01, 1e5),
        metavar="N",
        help="as many steps as fit into this time (0.01-100000, instead of --steps)",
    )
    number(sub, "--batch", 1, 256, training.batch, "photos a step")
    number(sub, "--crop", 64, 1024, training.crop, "pixels of a training photo's side")
    number(sub, "--style-size", 64, 4096, training.style_size, "size of the painting in pixels: larger, larger strokes")
    number(sub, "--width", 4, 128, training.network.width, "channels of the network")
    sub.add_argument("--end-kernel", type=int, choices=(3, 5, 7, 9), default=training.network.end_kernel)
    number(sub, "--learning-rate", 1e-6, 1.0, training.learning_rate, "step of Adam")
    sub.add_argument("--mixed-precision", action="store_true", help="bfloat16: faster on newer processors and GPUs")
    number(sub, "--seed", 0, 2**31 - 1, training.seed, "start of all randomness")
    objective(sub, training.objective)
    card(sub)

    sub = command(
        distill,
        "Train a small feature network from a large one (needs PyTorch; Ctrl-C keeps it, the same command resumes).",
    )
    slim = DistillSettings()
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="the weights file")
    sub.add_argument("--teacher", required=True, metavar="NET", help="the network to predict, as for --features")
    sub.add_argument("--photos", type=Path, required=True, metavar="PLACE", help="a folder or a tar of photos")
    sub.add_argument("--paintings", type=Path, required=True, metavar="PLACE", help="a folder or a tar of paintings")
    sub.add_argument("--start-from", type=Path, metavar="FILE", help="begin with what another training learned")
    sub.add_argument("--held-out", type=Path, metavar="PLACE", help="photos to measure the agreement on at the end")
    sub.add_argument("--device", choices=DEVICES, default="auto")
    sub.add_argument(
        "--channels",
        type=_channels,
        default=slim.channels,
        metavar="N,N,N,N,N",
        help=f"of the five blocks (default {','.join(map(str, slim.channels))})",
    )
    number(sub, "--gram-weight", 0.0, 1e3, slim.gram_weight, "how much the Gram matrices count")
    number(sub, "--steps", 1, 10**7, slim.steps, "training steps in all")
    number(sub, "--batch", 4, 1024, slim.batch, "pictures a step")
    number(sub, "--crop", 32, 1024, slim.crop, "pixels of a training picture's side")
    number(sub, "--rendered", 0, 1024, slim.rendered, "pictures a step, besides, that the network itself is painting")
    sub.add_argument(
        "--first-layer",
        choices=GATYS_STYLE_LAYERS,
        default=slim.first_layer,
        help="the first to learn; what comes before it stays as --start-from has it",
    )
    number(sub, "--learning-rate", 1e-6, 1.0, slim.learning_rate, "step of AdamW")
    sub.add_argument("--mixed-precision", action="store_true", help="bfloat16: faster on newer processors and GPUs")
    number(sub, "--seed", 0, 2**31 - 1, slim.seed, "start of all randomness")

    sub = command(export, "Make a style file from a training checkpoint (needs PyTorch).")
    sub.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    sub.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="STYLE",
        help="a style that the file is to lack",
    )
    card(sub)

    sub = command(import_, "Make a style file from a fast-style network of another project (needs PyTorch).")
    sub.add_argument(
        "source",
        type=Path,
        metavar="FILE",
        help="a state dict of PyTorch's fast_neural_style, an .npz of the variables of TensorFlow's "
        "fast-style-transfer, or an ONNX network for RGB in 0..255",
    )
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    card(sub)

    command(styles, "List the styles.")
    command(doctor, "Say what is installed and what is found.")
    return top


def _within(kind: type, low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number") from None
        if not low <= value <= high:  # NaN too
            raise argparse.ArgumentTypeError(f"{text} is out of range: give {low:g} to {high:g}")
        return value

    return parse


def _channels(text: str) -> tuple[int, ...]:
    values = tuple(int(part) if part.isdigit() else 0 for part in text.split(","))
    if len(values) != 5 or min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not five whole numbers with commas")
    return values


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_within(float, 0.0, 1e6)(part) for part in text.split(","))


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The options of these names that were given; the others are left to the preset."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _cards(options: argparse.Namespace, titles: list[str]):
    """What the style file says of each style: from ``--cards``, or of one from ``--title`` and the others.

    ``titles`` are those of styles of which nothing is said.
    """
    from export.to_onnx import StyleCard

    if options.cards is None:
        given = (options.artist, options.year, options.licence, options.name)
        if len(titles) == 1:
            return [StyleCard(options.title or titles[0], *given)]
        if any((options.title, *given)):
            raise StyleError("--title and the like are for one style; describe several in a file for --cards.")
        return [StyleCard(title) for title in titles]
    try:
        entries = tomllib.loads(options.cards.read_text(encoding="utf-8"))["style"]
        return [StyleCard(**{key: str(value) for key, value in entry.items()}) for entry in entries]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise StyleError(
            f"{options.cards} cannot be used ({error}); give a TOML file with a [[style]] for each style that has a "
            "title and perhaps an artist, a year, a licence and a name."
        ) from error


def _recipe(options: argparse.Namespace) -> tuple[Recipe, dict[str, Any]]:
    """What a preset, a file or an earlier result says, with the options that were given in its place.

    Beside it, what else a result records: the strength, whether the colours stay, and the names of the picture to start
    from and of the reference photos, or None.
    """
    others: dict[str, Any] = {"strength": 100.0, "keep_colors": False, "initial": None, "reference_photos": None}
    if options.like is not None:
        from plugin.picture_files import read_record

        record = read_record(options.like)
        base = from_data(record.get("recipe", {}), source=f"{options.like}: ")
        kinds: dict[str, tuple[type, ...]] = {
            "strength": (int, float),
            "keep_colors": (bool,),
            "initial": (str,),
            "reference_photos": (str,),
        }
        others |= {name: record[name] for name, kind in kinds.items() if isinstance(record.get(name), kind)}
    else:
        base = PRESETS[options.preset or "default"]
    if options.settings is not None:
        try:
            data = tomllib.loads(options.settings.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StyleError(f"{options.settings} is no TOML file ({error}); mend it or choose another one.") from error
        base = from_data(data, base, f"{options.settings}: ")
    given = _given(options, (*RENDER_OPTIONS, "optimizer", "schedule", "precision", "features", "pooling"))
    if options.init in STARTS:
        given["start"], others["initial"] = options.init, None
    elif options.init is not None:
        others["initial"] = options.init
    if options.strength is not None:
        others["strength"] = options.strength
    if options.keep_colors is not None:
        others["keep_colors"] = options.keep_colors
    if options.reference_photos is not None:
        others["reference_photos"] = str(options.reference_photos)
    return from_data(given | {"objective": _given(options, OBJECTIVE_OPTIONS)}, base), others


def _check_style_output(path: Path) -> None:
    """What can be told of a style file before any work: PyTorch, the ending, the folder."""
    from plugin.engine.render import require_torch
    from plugin.picture_files import check_folder

    require_torch()
    check_folder(path)
    if path.suffix.lower() != ".onnx":
        raise StyleError(f"A style file ends in .onnx; name the output {path.with_suffix('.onnx').name}.")


# ---- the terminal -----------------------------------------------------------------------------------------------


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.json:
        print(text)


def _report(options: argparse.Namespace, pixels, seconds: dict[str, float]) -> Report:
    from plugin.engine.memory import peak_rss_mib

    return {
        "output": str(options.output),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "torch_loaded": "torch" in sys.modules,
    }


if __name__ == "__main__":
    sys.exit(main())
