"""What ``distill`` and ``train-decoders`` share: the files that a training reads and writes, and its settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from nst_core.base.training_settings import DecoderSettings, DistillSettings
from plugin.cli.options import MIXED_PRECISION_HELP, SEED_RANGE, add_device, add_number
from plugin.cli.outputs import NamedPath, check_apart, check_folder
from plugin.cli.reports import Report, say

Settings = TypeVar("Settings", DecoderSettings, DistillSettings)


def add_files(parser: argparse.ArgumentParser, output: str, start: str, measured: str) -> None:
    """Add the files of a training, and its device.

    ``output`` and ``start`` are the help texts of their options; ``measured`` is what the held-out photos measure.
    """
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help=output)
    for kind in ("photos", "paintings"):
        text = f"a folder or a tar of {kind}"
        parser.add_argument(f"--{kind}", type=Path, required=True, metavar="PLACE", help=text)
    parser.add_argument("--start-from", type=Path, metavar="FILE", help=start)
    text = f"photos on which to measure {measured}"
    parser.add_argument("--held-out", type=Path, metavar="PLACE", help=text)
    add_device(parser)


def add_steps(parser: argparse.ArgumentParser, default: DecoderSettings | DistillSettings) -> None:
    """Add how long, in which precision and with which seed to train."""
    add_number(parser, "--steps", (1, 10**7), default.steps, "training steps in all")
    add_number(parser, "--batch", (4, 1024), default.batch, "pictures in each step")
    parser.add_argument("--mixed-precision", action="store_true", help=MIXED_PRECISION_HELP)
    add_number(parser, "--seed", SEED_RANGE, default.seed, "seed of all randomness")


def check_files(options: argparse.Namespace, more_inputs: Sequence[NamedPath]) -> None:
    """Raise StyleError if PyTorch is missing, or if an output cannot be written or would overwrite an input."""
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(options.output)
    inputs = [
        ("photos", options.photos),
        ("paintings", options.paintings),
        ("file of --start-from", options.start_from),
        ("photos of --held-out", options.held_out),
        *more_inputs,
    ]
    check_apart([("output", options.output), ("checkpoint", options.output.with_suffix(".checkpoint"))], inputs)


def settings_from(options: argparse.Namespace, kind: type[Settings]) -> Settings:
    """Return the settings of type ``kind`` that the options give; the others have their defaults."""
    names = {field.name for field in fields(kind)} & vars(options).keys()
    return kind(**{name: getattr(options, name) for name in names})


def say_result(options: argparse.Namespace, report: Report) -> None:
    """Print the file, its training steps and the pictures that were skipped."""
    say(options, f"{options.output}: {report['steps']} steps")
    if skipped := report["photos_skipped"]:
        say(options, f"{len(skipped)} damaged or too small pictures were skipped: {', '.join(skipped)}")
