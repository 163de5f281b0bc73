"""Settings saved under names, and the styles used last."""

from __future__ import annotations

import json

import pytest

from nst_core.base.errors import StyleError
from plugin.engine import saved_settings
from plugin.engine.machine import paths
from plugin.engine.saved_settings import (
    MOST_RECENT,
    delete_settings,
    read_saved_settings,
    remember_style,
    rename_settings,
    save_settings,
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The file of a user who has saved nothing."""
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))
    return paths.data_folder() / "saved-settings.json"


def test_settings_are_saved_replaced_renamed_and_deleted(file):
    assert read_saved_settings() == saved_settings.SavedSettings()
    assert save_settings("  broad \n strokes ", {"stroke-size": 200.0, "style-image": None}) == "broad strokes"
    save_settings("faint", {"strength": 30.0})
    save_settings("faint", {"strength": 20.0})
    rename_settings("broad strokes", "broad")
    assert dict(read_saved_settings().named) == {
        "broad": {"stroke-size": 200.0, "style-image": None},
        "faint": {"strength": 20.0},
    }
    assert list(read_saved_settings().named) == ["broad", "faint"]
    delete_settings("broad")
    delete_settings("broad")
    assert dict(read_saved_settings().named) == {"faint": {"strength": 20.0}}


def test_names_are_neither_empty_nor_taken(file):
    save_settings("a", {})
    save_settings("b", {"strength": 1.0})
    with pytest.raises(StyleError, match="need a name"):
        save_settings(" \n", {})
    with pytest.raises(StyleError, match="Settings named 'a' already exist"):
        rename_settings("b", " a ")
    rename_settings("b", "b")
    assert dict(read_saved_settings().named) == {"a": {}, "b": {"strength": 1.0}}


def test_latest_styles_come_first_and_once(file):
    for number in [*range(MOST_RECENT + 3), 5]:
        remember_style({"style": str(number)})
    numbers = [int(entry["style"]) for entry in read_saved_settings().recent]
    assert numbers == [5, 10, 9, 8, 7, 6, 4, 3]
    save_settings("a", {})
    assert len(read_saved_settings().recent) == MOST_RECENT


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100000, '{"named": '])
def test_damaged_file_is_set_aside_before_the_next_is_written(file, text):
    file.parent.mkdir()
    file.write_bytes(text.encode("latin-1"))
    assert read_saved_settings() == saved_settings.SavedSettings()
    save_settings("a", {"strength": 1.0})
    assert dict(read_saved_settings().named) == {"a": {"strength": 1.0}}
    assert file.with_name("saved-settings.damaged.json").read_bytes() == text.encode("latin-1")


def test_damaged_entries_do_not_hide_the_others(file):
    file.parent.mkdir()
    values = {"format": 7, "named": {"a": {"strength": 1.0}, "b": 3}, "recent": ["x", {"style": "y"}], "more": []}
    file.write_text(json.dumps(values))
    assert read_saved_settings() == saved_settings.SavedSettings({"a": {"strength": 1.0}}, ({"style": "y"},))
    file.write_text(json.dumps({"named": [1], "recent": 2}))
    assert read_saved_settings() == saved_settings.SavedSettings()


def test_folder_that_cannot_be_written_is_named(file):
    file.parent.write_text("a file in the folder's place")
    with pytest.raises(StyleError, match="cannot be written"):
        save_settings("a", {})
