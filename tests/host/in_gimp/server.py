"""Answers the tests' calls, in GIMP's own Python."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from multiprocessing.connection import Listener
from typing import Any

from in_gimp import dragging, filter_modules, images, inspection, procedures

MODULES = (images, inspection, procedures, filter_modules, dragging)


def serve(address: str) -> None:
    """Answer calls until the connection closes.

    A call is the name of a function in ``MODULES`` with its keyword arguments; an answer says whether it worked, and
    is the function's value or the traceback.
    """
    with Listener(address) as listener, listener.accept() as connection:
        while True:
            try:
                name, arguments = connection.recv()
            except EOFError:
                return
            try:
                answer = (True, _find_function(name)(**arguments))
            except Exception:
                answer = (False, traceback.format_exc())
            connection.send(answer)


def _find_function(name: str) -> Callable[..., Any]:
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))
