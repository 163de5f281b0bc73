"""``neural-style styles``: list the styles."""

from __future__ import annotations

import argparse
import sys

from plugin.cli.reports import Report, say

SUMMARY = "List the styles."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add nothing: ``styles`` has no options of its own."""


def run(options: argparse.Namespace) -> Report:
    """List the styles, and on standard error the files that are not usable."""
    from plugin.engine.fast.style_library import read_library

    library = read_library()
    for style in library.styles.values():
        artist, year = f", {style.artist}" if style.artist else "", f" ({style.year})" if style.year else ""
        say(options, f"{style.name:20} {style.title}{artist}{year}")
    for reason in library.left_out:
        print(f"neural-style: left out: {reason}", file=sys.stderr)
    return {
        "styles": [
            {key: getattr(style, key) for key in ("name", "title", "artist", "year", "licence")}
            | {"detail": style.default_detail if style.has_detail else None}
            | {"path": str(style.path), "trained": style.trained}
            for style in library.styles.values()
        ],
        "left_out": library.left_out,
    }
