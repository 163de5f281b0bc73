"""Options that several commands share, and what their values mean."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nst_core.base.device_names import DEVICES
from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import OBJECTIVE_RANGES, POOLINGS, STYLE_LOSSES, ObjectiveSettings
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.style_file import DEFAULT_DETAIL, DETAIL_RANGE, StyleCard
from plugin.engine.batch.batch_plan import DEFAULT_PATTERN, DEFAULT_PATTERN_OF_SEVERAL, Shard
from plugin.engine.imaging.blend_settings import COLOR_CHOICES, STRENGTH_RANGE, BlendSettings

# The options of `render` and `study` that are numbers, by the setting that they fill.
RENDER_NUMBERS = {
    "size": "pixels of the result's longer side",
    "coarsest": "first paint at about this size, then at sizes that grow by a factor of 1.41; 0 for one size",
    "iterations": "steps of the optimiser at the result's size",
    "smaller_iterations": "steps at each of the smaller sizes; 0 for as many as at the result's size",
    "first_iterations": "steps at the first of several sizes; 0 for as many as at the other smaller sizes",
    "style_scale": "size of the strokes",
    "learning_rate": "step size of Adam or gradient descent",
    "precondition": "how much L-BFGS prefers broad changes to fine ones; 0 for plain L-BFGS",
    "average": "the result is a moving average of the pictures; this is its decay, 0 for the last picture alone",
    "shift": "pixels by which the picture moves between steps, except with L-BFGS",
    "seed": "seed of all randomness",
    "noise": "contrast of the noise that --init noise starts from",
}
OBJECTIVE_OPTIONS = (
    *("content_layers", "style_layers", "style_loss"),
    *("content_weight", "style_weight", "tv_weight", "tv_exponent"),
)
MIXED_PRECISION_HELP = "compute in bfloat16: faster on newer CPUs and GPUs"
SEED_RANGE = (0, 2**31 - 1)
# Other names of options: `train` and `distill` call their iterations steps.
ALIASES = {"--iterations": ("--steps",)}


def add_number(
    parser: argparse._ActionsContainer,
    flag: str,
    limits: tuple[float, float],
    default: float,
    text: str,
    *,
    unset: bool = False,
) -> None:
    """Add an option for a number within ``limits``, whole if ``default`` is.

    With ``unset``, an option that is not given stays None, because something else decides: ``default`` then only
    appears in the help.
    """
    low, high = limits
    parser.add_argument(
        flag,
        *ALIASES.get(flag, ()),
        type=number_within(type(default), low, high),
        default=None if unset else default,
        metavar="N",
        help=f"{text} ({low:.10g}-{high:.10g}, default {default:g})",
    )


def number_within(kind: type, low: float, high: float) -> Callable[[str], float]:
    """Return a parser of numbers of type ``kind`` from ``low`` to ``high``, for ``type=`` of an option."""

    def parse(text: str) -> float:
        try:
            value: float = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number") from None
        if not low <= value <= high:  # NaN too
            raise argparse.ArgumentTypeError(f"{text} is out of range: give {low:.10g} to {high:.10g}")
        return value

    return parse


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default auto)")


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add what every command that paints photos takes: the photos, the output, the blend and the device."""
    blend = BlendSettings()
    parser.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTO", help="the picture to paint; or several, or folders of them"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="where to write the result; a folder for several pictures",
    )
    add_number(parser, "--strength", STRENGTH_RANGE, blend.strength, "percent of the style in the result")
    parser.add_argument(
        "--keep-colors",
        action=argparse.BooleanOptionalAction,
        help="take only the strokes of the painting and keep the photo's colours",
    )
    parser.add_argument(
        "--colors",
        choices=COLOR_CHOICES,
        default=COLOR_CHOICES[0],
        help="whose colours the result has: the painting's (default); the photo's, by its luminance alone (photo, the "
        "same as --keep-colors) or by matching the style picture to it beforehand (photo-before); or only the "
        "colours of the style picture and none of its strokes",
    )
    add_allowed_pictures(parser)
    add_device(parser)
    add_batch(parser)


def keeps_colors(options: argparse.Namespace) -> bool | None:
    """Return whether the result has the photo's colours by its luminance alone; None if no option says so."""
    return True if options.colors == "photo" else options.keep_colors


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add the options for many pictures, which are None unless they are given."""
    group = parser.add_argument_group(
        "many pictures", "for several pictures, for folders, or with one of these options"
    )
    group.add_argument(
        "--name",
        metavar="PATTERN",
        help=f"how to name the results (default {DEFAULT_PATTERN}, with several styles {DEFAULT_PATTERN_OF_SEVERAL})",
    )
    group.add_argument(
        "--overwrite", action="store_true", default=None, help="paint again what is in the output folder already"
    )
    group.add_argument(
        "--failures", type=Path, metavar="FILE", help="write the pictures that failed, one a line, each with its reason"
    )
    group.add_argument(
        "--shard",
        type=_shard,
        metavar="K/N",
        help="paint only the K-th of N parts of the pictures, such as 2/8; other machines paint the others",
    )


def _shard(text: str) -> Shard:
    number, _slash, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of the pictures; write it like 2/8")
    try:
        return Shard(int(number), int(count))
    except (StyleError, ValueError) as error:  # more digits than Python reads raise ValueError
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def add_allowed_pictures(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-damaged`` and ``--allow-large``, for every command that reads pictures."""
    parser.add_argument(
        "--allow-large",
        action="store_true",
        help="read pictures of more than 400 megapixels",
    )
    parser.add_argument(
        "--allow-damaged",
        action="store_true",
        help="use the readable part of a cut-off or damaged picture; missing pixels are black or grey",
    )


def add_features(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the feature network."""
    parser.add_argument(
        "--features",
        default="auto",
        metavar="NET",
        help="compact, vgg19, vgg16, a weights file, or several joined by + "
        "(default auto: vgg19 if it is on disk, else compact)",
    )
    parser.add_argument(
        "--pooling", choices=POOLINGS, default="max", help="the feature network's pooling (default max)"
    )
    parser.add_argument(
        "--reference-photos",
        type=Path,
        metavar="PLACE",
        help="scale the feature network to a mean activation of 1 over these photos, a folder or a tar",
    )


def add_objective(parser: argparse.ArgumentParser, default: ObjectiveSettings) -> None:
    """Add the feature network and the options of the objective, which stay None if they are not given."""
    add_features(parser)
    for name, layers in (("content", default.content_layers), ("style", default.style_layers)):
        parser.add_argument(
            f"--{name}-layers",
            metavar="LAYERS",
            help=f"layers of the {name} loss, separated by commas, with weights such as relu3_1=0.5 "
            f"(default {','.join(layers)})",
        )
    parser.add_argument(
        "--style-loss",
        choices=STYLE_LOSSES,
        help=f"Gram matrices or the Wasserstein-2 distance (default {default.style_loss})",
    )
    for name, text in (
        ("content_weight", "weight of the content loss: how much the photo counts"),
        ("style_weight", "weight of the style loss: how much the painting counts"),
        ("tv_weight", "weight of the total variation: how much smoothness counts"),
        ("tv_exponent", "power of the differences of neighbouring pixels in the total variation"),
    ):
        add_number(parser, flag_of(name), OBJECTIVE_RANGES[name], getattr(default, name), text, unset=True)


def add_style_card(parser: argparse.ArgumentParser) -> None:
    """Add what a style file says about its styles."""
    for name, text in (
        ("title", "title in the list of styles"),
        ("artist", "who painted it"),
        ("year", "when it was painted"),
        ("licence", "rights of the artwork"),
        ("name", "name for --style (made from the title if not given)"),
    ):
        parser.add_argument(f"--{name}", default="", metavar="TEXT", help=text)
    text = "default of the style's setting --detail, if it has one"
    add_number(parser, "--detail", DETAIL_RANGE, DEFAULT_DETAIL, text)
    parser.add_argument(
        "--cards", type=Path, metavar="FILE.toml", help="the same for several styles, each in a [[style]] table"
    )


def flag_of(name: str) -> str:
    """Return the option that fills the setting ``name``."""
    return f"--{name.replace('_', '-')}"


def given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of those options in ``names`` that were given."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, even with a byte order mark. Raises StyleError if there is none."""
    check_untrusted_file(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise StyleError(f"{path} is not a TOML file ({error}); fix it or choose another.") from error


def style_cards(options: argparse.Namespace, titles: list[str]) -> list[StyleCard]:
    """Return what the style file says about each of its styles: from ``--cards``, or from ``--title`` etc.

    ``titles`` are those of the styles that the user does not describe. Raises StyleError for a file that cannot be
    used, and for ``--title`` etc. with several styles.
    """
    if options.cards is None:
        texts = (options.artist, options.year, options.licence, options.name)
        if len(titles) == 1:
            return [StyleCard(options.title or titles[0], *texts, options.detail)]
        if any((options.title, *texts)):
            raise StyleError("--title and the like describe one style; describe several styles in a file for --cards.")
        return [StyleCard(title, detail=options.detail) for title in titles]
    try:
        entries = read_toml(options.cards)["style"]
        details = [float(entry.pop("detail", options.detail)) for entry in entries]
        named_texts = [{key: str(value) for key, value in entry.items()} for entry in entries]
        return [StyleCard(**entry, detail=detail) for entry, detail in zip(named_texts, details, strict=True)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StyleError(
            f"{options.cards} cannot be used ({error}); give a TOML file with a [[style]] for each style, which has a "
            "title and optionally an artist, a year, a licence and a name."
        ) from error
