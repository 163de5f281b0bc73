"""The arguments of ``neural-style``: every command's options, with their ranges and defaults."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from nst_core.base.device_names import DEVICES
from nst_core.base.iterative_settings import (
    ITERATIVE_RANGES,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    STARTS,
    IterativeSettings,
)
from nst_core.base.objective_settings import (
    GATYS_STYLE_LAYERS,
    OBJECTIVE_RANGES,
    POOLINGS,
    STYLE_LOSSES,
    ObjectiveSettings,
)
from nst_core.base.presets import PRESETS
from nst_core.base.training_settings import DistillSettings, TrainSettings

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
ALIASES = {"iterations": ("--steps",)}  # what `train` and `distill` call theirs
OBJECTIVE_OPTIONS = (
    *("content_layers", "style_layers", "style_loss"),
    *("content_weight", "style_weight", "tv_weight", "tv_exponent"),
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"neural-style: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line. Defaults come from the settings that they fill."""
    top = _Parser(prog="neural-style", description="Paint a photo in the style of a painting.")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    training = TrainSettings()

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=name)
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
            *ALIASES.get(name[2:], ()),
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
            number(
                sub, f"--{name.replace('_', '-')}", *OBJECTIVE_RANGES[name], getattr(values, name), text, preset=True
            )

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
        from nst_core.studies.kinds import KINDS

        usual = next(kind.defaults for kind in KINDS.values() if kind.two_pictures)
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        sub.epilog = "studies:\n" + "\n".join(f"  {name:24}{kind.text}" for name, kind in KINDS.items())
        sub.add_argument("name", choices=KINDS, metavar="NAME", help="one of the studies below")
        sub.add_argument("picture", type=Path, metavar="PICTURE", help="the photo; the painting for its style alone")
        sub.add_argument("--style-image", type=Path, metavar="PAINTING", help="for studies of both")
        sub.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the sheets go")
        for name, text in STUDY_OPTIONS.items():
            number(sub, f"--{name.replace('_', '-')}", *ITERATIVE_RANGES[name], getattr(usual, name), text, preset=True)
        sub.add_argument("--optimizer", choices=OPTIMIZERS, help=f"(default {usual.optimizer})")
        sub.add_argument(
            "--content-weights", type=_numbers, metavar="N,N,...", help="those that the study `weights` compares"
        )
        sub.add_argument("--device", choices=DEVICES, default="auto", help="what computes (default auto)")
        objective(sub, usual.objective)

    sub = command("apply", "Paint a photo in a bundled or own style.")
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

    sub = command("render", "Paint a photo in the style of any picture (needs PyTorch; Ctrl-C keeps what there is).")
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
    usual = IterativeSettings()
    for name, text in RENDER_OPTIONS.items():
        number(sub, f"--{name.replace('_', '-')}", *ITERATIVE_RANGES[name], getattr(usual, name), text, preset=True)
    sub.add_argument("--precision", choices=PRECISIONS, help="(default auto: bfloat16 if the processor is made for it)")
    sub.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        help="(default auto: lbfgs, and adam behind it for compact and other features that were distilled)",
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

    sub = command("study", "Show what a layer knows or what a setting does, in sheets and tables (needs PyTorch).")
    study_arguments(sub)

    sub = command(
        "train",
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
    number(sub, "--grain", 0, 1, training.grain, "how faint a grain of the painting is to leave out, such as 0.06")
    number(sub, "--width", 4, 128, training.network.width, "channels of the network")
    sub.add_argument("--end-kernel", type=int, choices=(3, 5, 7, 9), default=training.network.end_kernel)
    number(sub, "--learning-rate", 1e-6, 1.0, training.learning_rate, "step of Adam")
    sub.add_argument("--mixed-precision", action="store_true", help="bfloat16: faster on newer processors and GPUs")
    number(sub, "--seed", 0, 2**31 - 1, training.seed, "start of all randomness")
    objective(sub, training.objective)
    card(sub)

    sub = command(
        "distill",
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

    sub = command("export", "Make a style file from a training checkpoint (needs PyTorch).")
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

    sub = command("import", "Make a style file from a fast-style network of another project (needs PyTorch).")
    sub.add_argument(
        "source",
        type=Path,
        metavar="FILE",
        help="a state dict of PyTorch's fast_neural_style, an .npz of the variables of TensorFlow's "
        "fast-style-transfer, or an ONNX network for RGB in 0..255",
    )
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    card(sub)

    command("styles", "List the styles.")
    command("doctor", "Say what is installed and what is found.")
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
