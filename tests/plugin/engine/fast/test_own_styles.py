"""The user's own styles: adding and renaming their files, and the favourites."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nst_core.base.errors import StyleError
from nst_core.style_file import read_styles
from plugin.engine.fast import own_styles
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.style_library import find_styles, read_library
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine import paths
from tests.style_files import negative_style


@pytest.fixture
def style_file(tmp_path, monkeypatch):
    """A style file elsewhere, and a user without styles."""
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))
    file = tmp_path / "négative.onnx"
    onnx.save(negative_style(), file)
    return file


def test_added_style_is_listed_and_the_file_stays(style_file):
    (style,) = own_styles.add_style(style_file)
    assert style_file.is_file() and style.path == paths.user_styles_folder() / style_file.name
    assert own_styles.is_own(style) and find_styles("negative") == {style: 1.0}
    assert not own_styles.is_own(read_library().styles["great-wave"])


def test_nothing_is_overwritten_or_half_added(style_file, tmp_path):
    own_styles.add_style(style_file)
    with pytest.raises(StyleError, match="already a style called 'negative'"):
        own_styles.add_style(style_file)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no style")
    with pytest.raises(StyleError, match=r"broken\.onnx"):
        own_styles.add_style(broken)
    assert [file.name for file in paths.user_styles_folder().iterdir()] == [style_file.name]


def test_renamed_style_keeps_its_name_and_paints_as_before(style_file):
    (style,) = own_styles.add_style(style_file)
    photo = Picture(np.random.default_rng(0).random((20, 30, 4)).astype(np.float32))
    before = paint_fast(photo, {style: 1.0}).pixels
    for title in ("  Mein\n„Stil“ 🎨 ", "x" * 150):
        own_styles.rename_style(read_styles(style.path)[0], title)
        (renamed,) = read_styles(style.path)
        assert renamed.title == " ".join(title.split())
        assert (renamed.name, renamed.artist, renamed.thumbnail) == (style.name, style.artist, style.thumbnail)
        onnx.checker.check_model(str(style.path))
    assert (paint_fast(photo, {renamed: 1.0}).pixels == before).all()
    with pytest.raises(StyleError, match="needs a title"):
        own_styles.rename_style(renamed, " \n")


def test_favourites_are_remembered_and_damage_is_no_error(style_file):
    assert own_styles.read_favourites() == []
    own_styles.write_favourites(["udnie", "great-wave"])
    assert own_styles.read_favourites() == ["great-wave", "udnie"]
    file = paths.data_folder() / "favourites.json"
    for damaged in ("{", '{"a": 1}', "\0"):
        file.write_text(damaged)
        assert own_styles.read_favourites() == []
    file.write_text('["udnie", 3, null]')
    assert own_styles.read_favourites() == ["udnie"]
