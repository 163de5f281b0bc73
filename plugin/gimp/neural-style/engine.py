"""The engine: once it is connected, the functions of plugin/engine/service.py are to be had here.

import engine
engine.paint(...)
"""

from __future__ import annotations

import sys
from typing import Any

import installation
from language import _

_service: Any = None


def connect() -> None:
    """Make the engine callable. Raises InstallationError if it is not there or belongs to another Python."""
    global _service
    found = installation.read()
    running = tuple(map(str, sys.version_info[:2]))
    if found.python != running:
        raise installation.InstallationError(
            _("GIMP runs Python {running}, but Neural Style was installed for Python {other}; {remedy}.").format(
                running=".".join(running), other=".".join(found.python), remedy=installation.REMEDY
            )
        )
    # After the script's own folder, so that no package can hide the modules beside this one.
    if str(found.site_packages) not in sys.path:
        sys.path.insert(1, str(found.site_packages))
    try:
        from plugin.engine import service
    except ImportError as error:
        raise found.damaged(error) from error
    _service = service


def __getattr__(name: str) -> Any:
    return getattr(_service, name)
