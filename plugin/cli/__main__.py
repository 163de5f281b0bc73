"""Run the command line with ``python -m plugin.cli``."""

from __future__ import annotations

import sys

from plugin.cli.main import main

sys.exit(main())
