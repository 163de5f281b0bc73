"""The function that makes any text showable in GIMP."""

from __future__ import annotations

import importlib.util

import pytest

from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location("showable", ROOT / "plugin/gimp/neural-style/showable.py")
assert SPEC and SPEC.loader
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café 🎨.jpg", "Café 🎨.jpg"),
        (b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), "caf\N{REPLACEMENT CHARACTER}.jpg"),
        ("\ud83c", "\N{REPLACEMENT CHARACTER}"),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("", ""),
    ],
)
def test_what_gimp_refuses_is_replaced(text, expected):
    assert MODULE.showable(text) == expected
    MODULE.showable(text).encode()
