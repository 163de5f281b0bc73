"""The translations of the filter's texts are complete and compiled, and the engine finds them too."""

from __future__ import annotations

import ast
import gettext
from collections.abc import Sequence
from pathlib import Path
from string import Formatter
from xml.etree import ElementTree

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from nst_core.base import language
from nst_core.base.errors import StyleError
from plugin.engine.fast.style_library import find_styles
from tests.conftest import ROOT

FILTER = ROOT / "plugin/gimp/neural-style"
CATALOGUES = sorted((FILTER / "locale").glob("*/LC_MESSAGES/neural-style.po"))
Forms = tuple[str, ...]


def forms(text: str | Sequence[str]) -> Forms:
    """Return a text, or all forms of a text that depends on a number, as a tuple."""
    return (text,) if isinstance(text, str) else tuple(text)


def read_catalogue(path: Path) -> dict[Forms, Forms]:
    """Return the translations by their English texts."""
    with path.open("rb") as file:
        read = read_mo(file) if path.suffix == ".mo" else read_po(file)
    return {forms(message.id): forms(message.string) for message in read if message.id and not message.fuzzy}


def fields(text: str) -> set[tuple[str | None, str | None, str | None]]:
    """Return the placeholders in a text with their formats."""
    return {part[1:] for part in Formatter().parse(text) if part[1] is not None}


def test_german_catalogue_exists():
    assert [path.parts[-3] for path in CATALOGUES] == ["de"]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_text_is_translated(path):
    texts = {
        forms(message)
        for folder in ("plugin/gimp", "plugin/engine", "nst_core")
        for _file, _line, message, *_ in extract_from_dir(
            ROOT / folder, [("**.py", "python")], keywords={"_": None, "ngettext": (1, 2)}
        )
    }
    translations = read_catalogue(path)
    assert len(texts) > 100
    assert texts - translations.keys() == set(), "translate these, see CONTRIBUTING.md"
    assert translations.keys() - texts == set(), "these are no longer in any source file"
    for text, translation in translations.items():
        for form in translation:
            assert form
            assert fields(form) == fields(text[-1])
            assert form.count("_") == text[-1].count("_"), "a translation has a mnemonic exactly if the text has one"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_compiled_catalogue_is_up_to_date(path):
    assert read_catalogue(path.with_suffix(".mo")) == read_catalogue(path)


@pytest.mark.parametrize("language", ["en", *(path.parts[-3] for path in CATALOGUES)])
def test_every_language_has_help_for_every_procedure(language):
    folder = FILTER / "help" / language
    items = ElementTree.parse(folder / "gimp-help.xml").getroot()
    names = [f"plug-in-neural-style{ending}" for ending in ("", "-again", "-folder")]
    assert [item.get("id") for item in items] == names
    for item in items:
        page, _, anchor = item.get("ref", "").partition("#")
        text = (folder / page).read_text(encoding="utf-8")
        assert f'<html lang="{language}">' in text
        assert not anchor or f'id="{anchor}"' in text


def test_filter_raises_only_translated_errors():
    """The filter's errors are translated rather than literal texts."""
    errors = [
        call
        for path in FILTER.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("StyleError", "InstallationError")
    ]
    assert len(errors) > 20
    assert not [ast.unparse(call) for call in errors if isinstance(call.args[0], (ast.Constant, ast.JoinedStr))]


def test_engine_uses_the_language_of_its_host(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "de")
    with pytest.raises(StyleError, match="no style called 'xyzzy'"):
        find_styles("xyzzy")
    outside = gettext.bindtextdomain(language.DOMAIN)
    gettext.bindtextdomain(language.DOMAIN, str(FILTER / "locale"))
    try:
        with pytest.raises(StyleError, match="keinen Stil namens 'xyzzy'"):
            find_styles("xyzzy")
    finally:
        gettext.bindtextdomain(language.DOMAIN, outside)
