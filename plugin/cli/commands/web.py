"""``neural-style web``: serve the page in the browser."""

from __future__ import annotations

import argparse
import threading

from plugin.cli.options import number_within
from plugin.cli.reports import Report, say
from plugin.web.serving import HOST, PORT, PORT_RANGE, serving

SUMMARY = "Serve a page on which photos are painted in the browser."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``web``."""
    parser.add_argument(
        "--host",
        default=HOST,
        help=f"the address to serve on (default {HOST}, for this machine only; 0.0.0.0 for the whole network)",
    )
    parser.add_argument(
        "--port",
        type=number_within(int, *PORT_RANGE),
        default=PORT,
        metavar="N",
        help=f"the port ({PORT_RANGE[0]}-{PORT_RANGE[1]}, default {PORT})",
    )


def run(options: argparse.Namespace) -> Report:
    """Serve the page until Ctrl-C."""
    with serving(options.host, options.port) as address:
        say(options, f"{address} shows the page; Ctrl-C ends it.")
        threading.Event().wait()
    return {}
