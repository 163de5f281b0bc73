"""Paint a photo in the style of any picture: ``apply --style-image`` and its options."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.many_pictures import InStyle
from plugin.cli.mask_options import mask_files, read_photo
from plugin.cli.options import add_number
from plugin.cli.outputs import check_apart, check_picture_output
from plugin.cli.reports import Report, painting_report, say
from plugin.cli.terminal import run_stoppable
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.instant.instant_settings import READ_PIXELS, SWAP_RANGE, InstantSettings
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    from plugin.engine.imaging.picture import Picture
    from plugin.engine.instant.instant_painting import InstantResult

SWAPS = {
    "motifs": "with --style-image, how much its large shapes replace those of the photo, in percent",
    "brushwork": "with --style-image, the same for its strokes",
}


def add_style_pictures(parser: argparse.ArgumentParser, styles: argparse._MutuallyExclusiveGroup) -> None:
    """Add ``--style-image`` to ``styles``, the group with the other ways to name a style, and its sliders."""
    default = InstantSettings()
    styles.add_argument(
        "--style-image",
        action="append",
        dest="style_images",
        metavar="PAINTING",
        help="any picture, whose style is taken at once; several, as in one.jpg:0.6,other.jpg:0.4 or given again, are "
        "mixed",
    )
    for name, text in SWAPS.items():
        add_number(parser, f"--{name}", SWAP_RANGE, getattr(default, name), text)


def paint_in_style_of_pictures(options: argparse.Namespace, settings: FastSettings) -> Report:
    """Paint the photo in the style of ``--style-image``, write it, and return the report."""
    from plugin.cli.picture_files import read_input, write_picture
    from plugin.engine.instant.instant_painting import paint_instantly

    shares = _read_pictures(options.style_images, settings)
    check_picture_output(options.output)
    inputs = [("photo", options.photo), *mask_files(options), *(("style picture", path) for path in shares)]
    check_apart([("output", options.output)], inputs)
    source = read_photo(options)
    styles: dict[Picture, float] = {read_input(options, path, READ_PIXELS): share for path, share in shares.items()}
    instant = InstantSettings(options.motifs, options.brushwork, settings)

    def paint(stopper: Stopper) -> InstantResult:
        return paint_instantly(source.picture, styles, instant, stopper=stopper)

    result = run_stoppable(paint)
    write_picture(source, result.pixels, options.output)
    for note in result.notes:
        say(options, note)
    provider, seconds = result.provider, result.seconds
    names = " + ".join(path.name for path in shares)
    say(options, f"{options.output}: {names}, {provider}, {seconds['total']:.1f} s")
    return painting_report(options, result.pixels, seconds) | {
        "style": _described(shares),
        "provider": provider.name,
        "provider_reason": provider.reason,
        "notes": [*source.notes, *result.notes],
    }


def style_of_pictures(options: argparse.Namespace, texts: Sequence[str], settings: FastSettings) -> InStyle:
    """Return the style of the pictures that ``texts`` name, for many photos."""
    from plugin.cli.picture_files import read_input
    from plugin.engine.instant.instant_painting import paint_instantly

    shares = _read_pictures(texts, settings)
    styles: dict[Picture, float] = {read_input(options, path, READ_PIXELS): share for path, share in shares.items()}
    instant = InstantSettings(options.motifs, options.brushwork, settings)

    def paint(picture: Picture, stopper: Stopper) -> InstantResult:
        return paint_instantly(picture, styles, instant, stopper=stopper)

    return InStyle("+".join(path.stem for path in shares), _described(shares), tuple(shares), paint)


def _read_pictures(texts: Sequence[str], settings: FastSettings) -> dict[Path, float]:
    """Return the style pictures and their shares. Raises StyleError for those that cannot be used."""
    from plugin.engine.instant.instant_painting import check_count

    if settings.detail is not None:
        raise StyleError("Only trained styles have a choice of detail; leave out --detail with --style-image.")
    shares = read_shares(texts)
    check_count(len(shares))
    return shares


def _described(shares: Mapping[Path, float]) -> str:
    """Return a mixture in the form that ``--style-image`` takes."""
    return ",".join(f"{path}:{share:g}" if share < 1 else str(path) for path, share in shares.items())


def read_shares(texts: Sequence[str]) -> dict[Path, float]:
    """Return the pictures that ``PICTURE[:WEIGHT],…`` names, and their shares, which sum to 1.

    The longest name of an existing file wins over a reading with a comma or a colon. Raises StyleError if there is no
    such picture, or a weight is not a positive number.
    """
    weights: dict[Path, float] = {}
    for text in texts:
        for path, weight in _split(text):
            weights[path] = weights.get(path, 0.0) + weight
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise StyleError("The weights of style pictures must be above 0; leave out the pictures you do not want.")
    total = sum(weights.values())
    return {path: weight / total for path, weight in weights.items()}


def _split(text: str) -> list[tuple[Path, float]]:
    ends = [position for position, letter in enumerate(text) if letter == ","]
    for end in (len(text), *reversed(ends)):
        single = _single(text[:end].strip())
        if single is not None:
            return [single, *(_split(text[end + 1 :]) if end < len(text) else [])]
    name, colon, weight = text.partition(",")[0].strip().rpartition(":")
    if colon and Path(name).exists():
        raise StyleError(f"{weight!r} is not the weight of a picture; write it as in {name}:0.6.")
    raise StyleError(f"There is no picture {text}; check its name, or give several as in one.jpg:0.6,other.jpg:0.4.")


def _single(text: str) -> tuple[Path, float] | None:
    """Return the existing picture that ``text`` names, and its weight; None if it names none."""
    if text and Path(text).exists():
        return Path(text), 1.0
    name, _colon, weight = text.rpartition(":")
    try:
        return (Path(name), float(weight)) if name and Path(name).exists() else None
    except ValueError:
        return None
