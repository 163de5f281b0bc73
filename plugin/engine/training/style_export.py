"""Make style files from checkpoints and from networks that other programs trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.foreign.import_style import import_style
from export.to_onnx import export_styles
from nst_core.base.errors import StyleError
from nst_core.fast.training_checkpoint import load_training
from nst_core.style_file import StyleCard, check_cards
from plugin.engine.training.sample_photo import read_sample_photo


def export_checkpoint(
    checkpoint: Path, cards: Sequence[StyleCard], output: Path, leave_out: Sequence[str] = ()
) -> dict[str, Any]:
    """Make the style file ``output`` from a checkpoint, without the styles named in ``leave_out``; return a report.

    Raises StyleError if there is no such style, none would be left, or a file cannot be read or written.
    """
    training = load_training(checkpoint)
    check_cards(cards, training.network.settings.styles)
    names = [card.slug for card in cards]
    for name in leave_out:
        if name not in names:
            raise StyleError(f"There is no style {name!r} to leave out; choose from {', '.join(names)}.")
    rows = [row for row, name in enumerate(names) if name not in leave_out]
    if not rows:
        raise StyleError("No style would be left; leave out fewer.")
    if leave_out:
        training, cards = training.with_styles(rows), [cards[row] for row in rows]
    difference = export_styles(training, cards, read_sample_photo(), output)
    return {
        "output": str(output),
        "styles": [card.slug for card in cards],
        "steps": training.step,
        "difference": difference,
    }


def import_network(source: Path, cards: Sequence[StyleCard], output: Path) -> dict[str, Any]:
    """Make the style file ``output`` from a network of one style that another program trained; return a report.

    Raises StyleError if there is not exactly one card, or as ``import_style`` does.
    """
    check_cards(cards, 1)
    (card,) = cards
    imported = import_style(source, card, read_sample_photo(), output)
    return {
        "output": str(output),
        "styles": [card.slug],
        "layout": imported.layout,
        "difference": imported.difference,
    }
