"""libvips without its messages: every module imports ``pyvips`` from here.

pyvips passes the messages to Python's logging from any of libvips' threads, where a damaged photo can end the
process. Without pyvips, libvips prints them. The errors that libvips reports hold all that matters.
"""

from __future__ import annotations

import os

os.environ.setdefault("VIPS_WARNING", "0")  # any value silences libvips, which reads it when it is loaded

import pyvips  # after the variable is set

pyvips._remove_log_handler()

__all__ = ["pyvips"]
