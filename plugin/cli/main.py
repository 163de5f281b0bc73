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
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import STARTS
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import RECORD_BASE, Recipe, as_data, from_data, objective_from_data
from nst_core.base.training_settings import DistillSettings, TrainSettings, TransformerSettings
from plugin.cli.arguments import OBJECTIVE_OPTIONS, RENDER_OPTIONS, STUDY_OPTIONS, parser
from plugin.cli.terminal import bar, interruptible, one_voice, stages, training_bar
from plugin.engine.machine.memory import keep_freed_memory

Report = dict[str, Any]


@one_voice()
def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input, 130 for a cancelled run, 141 for a closed pipe."""
    options = parser().parse_args(arguments)
    keep_freed_memory()
    try:
        report = COMMANDS[options.command](options)
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
    from plugin.cli.picture_files import check_output, read_picture, write_picture
    from plugin.engine.fast.fast_painting import paint_fast
    from plugin.engine.fast.fast_settings import FastSettings
    from plugin.engine.fast.style_library import find_styles
    from plugin.engine.imaging.blend_settings import BlendSettings

    styles = find_styles(options.style)
    check_output(options.output)
    source = read_picture(options.photo)
    settings = FastSettings(
        stroke_size=options.stroke_size,
        full_resolution=options.full_resolution,
        device=options.device,
        blend=BlendSettings(options.strength, bool(options.keep_colors)),
    )
    done = paint_fast(source.picture, styles, settings)
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
    from plugin.cli.figures import Recording
    from plugin.cli.picture_files import check_output, read_picture, write_picture
    from plugin.engine.imaging.blend_settings import BlendSettings
    from plugin.engine.iterative.iterative_painting import IterativeOptions, paint_iteratively, require_torch

    require_torch()
    check_output(options.output)
    recipe, others = _recipe(options)
    blend = BlendSettings(others["strength"], others["keep_colors"])
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

        done = paint_iteratively(
            source.picture,
            style.picture,
            recipe,
            progress,
            blend,
            IterativeOptions(
                device=options.device,
                initial=initial,
                reference_photos=Path(others["reference_photos"]) if others["reference_photos"] else None,
                checkpoint=checkpoint,
                checkpoint_every=every,
                measure=options.metrics or options.json,
            ),
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
    """Show what a layer knows or what a setting does, in sheets of pictures and tables."""
    from nst_core.studies.kinds import KINDS
    from plugin.cli.picture_files import read_picture
    from plugin.cli.study_files import check_study_folder, write_study
    from plugin.engine.iterative.iterative_painting import require_torch
    from plugin.engine.iterative.study import StudyRequest, run_study

    require_torch()
    kind, name = KINDS[options.name], options.name
    given = _given(options, (*STUDY_OPTIONS, "optimizer", "features", "pooling"))
    recipe = from_data(given | {"objective": _given(options, OBJECTIVE_OPTIONS)}, Recipe(kind.defaults))
    if kind.two_pictures and options.style_image is None:
        raise StyleError(f"The study {name} compares a photo with a style picture; give one with --style-image.")
    check_study_folder(options.output)
    request = StudyRequest(
        name,
        read_picture(options.picture).picture,
        read_picture(options.style_image).picture if options.style_image else None,
        recipe,
        options.device,
        options.reference_photos,
        options.content_weights or (),
    )
    with stages() as stage, bar(0) as show:
        result = run_study(request, lambda step: show(step.done, step.losses, step.total), stage)
    files = [str(file) for file in write_study(name, result.findings, options.output)]
    for file in files:
        _say(options, file)
    return {
        "study": name,
        "files": files,
        "feature_network": result.feature_network,
        "device": result.device,
        "results": result.findings.rows,
    }


def train(options: argparse.Namespace) -> Report:
    """From a painting to a style file, by way of a checkpoint that a second call resumes; Ctrl-C keeps it."""
    _check_style_output(options.output)
    from nst_core.fast import distributed as parallel
    from plugin.engine.training import style_training as training

    settings = TrainSettings(
        objective=objective_from_data(_given(options, OBJECTIVE_OPTIONS), TrainSettings().objective),
        network=TransformerSettings(options.width, end_kernel=options.end_kernel, styles=len(options.paintings)),
        **_given(options, ("steps", "minutes")),
        batch=options.batch,
        crop=options.crop,
        style_size=options.style_size,
        grain=options.grain,
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
    from plugin.cli.picture_files import check_folder
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(options.output)
    from plugin.engine.training import style_training as training

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
    from plugin.engine.training import style_training as training

    cards = _cards(options, [options.output.stem])
    report = training.export_checkpoint(options.checkpoint, cards, options.output, options.leave_out)
    _say(options, f"{options.output}: differs from PyTorch by at most {report['difference']:.1e}")
    return report


def import_(options: argparse.Namespace) -> Report:
    """A network made elsewhere to a style file."""
    _check_style_output(options.output)
    from plugin.engine.training import style_training as training

    report = training.import_network(options.source, _cards(options, [options.output.stem]), options.output)
    _say(options, f"{options.output}: {report['layout']}, differs from it by at most {report['difference']:.1e}")
    return report


def styles(options: argparse.Namespace) -> Report:
    """The styles there are."""
    from plugin.engine.fast.style_library import read_library

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
    from plugin.cli.doctor import examine

    report = examine()
    if not options.json:
        for key, value in report.items():
            print(
                f"{key}:",
                *(value if isinstance(value, list) else [value]),
                sep="\n  " if isinstance(value, list) else " ",
            )
    return report


COMMANDS = {
    "apply": apply,
    "render": render,
    "study": study,
    "train": train,
    "distill": distill,
    "export": export,
    "import": import_,
    "styles": styles,
    "doctor": doctor,
}

# ---- what the arguments mean ------------------------------------------------------------------------------------


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The options of these names that were given; the others are left to the preset."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _cards(options: argparse.Namespace, titles: list[str]):
    """What the style file says of each style: from ``--cards``, or of one from ``--title`` and the others.

    ``titles`` are those of styles of which nothing is said.
    """
    from nst_core.style_file import StyleCard

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
        from plugin.cli.picture_files import read_record

        record = read_record(options.like)
        base = from_data(record.get("recipe", {}), RECORD_BASE, f"{options.like}: ")
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
    from plugin.cli.picture_files import check_folder
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(path)
    if path.suffix.lower() != ".onnx":
        raise StyleError(f"A style file ends in .onnx; name the output {path.with_suffix('.onnx').name}.")


# ---- the terminal -----------------------------------------------------------------------------------------------


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.json:
        print(text)


def _report(options: argparse.Namespace, pixels, seconds: dict[str, float]) -> Report:
    from plugin.engine.machine.memory import peak_rss_mib

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
