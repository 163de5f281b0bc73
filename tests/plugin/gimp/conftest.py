"""The filter's modules without GIMP."""

import gettext
import importlib
import sys
from unittest.mock import MagicMock

import pytest

from nst_core.base import language
from tests.conftest import ROOT


@pytest.fixture
def filter_module(monkeypatch):
    """Import a module of the filter, with a stand-in for GIMP's libraries."""
    for name in ("gi", "gi.repository"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    monkeypatch.syspath_prepend(str(ROOT / "plugin/gimp/neural-style"))
    known, catalogues = set(sys.modules), gettext.bindtextdomain(language.DOMAIN)
    yield importlib.import_module
    gettext.bindtextdomain(language.DOMAIN, catalogues)  # translation.py has set the filter's folder
    for name in set(sys.modules) - known:
        del sys.modules[name]
