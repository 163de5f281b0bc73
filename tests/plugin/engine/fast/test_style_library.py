import json
import os
import time

import pytest

from nst_core.base.errors import StyleError
from nst_core.style_file import read_styles
from plugin.engine.fast import style_library
from plugin.engine.fast.style_library import find_styles, list_styles, read_library
from plugin.engine.machine import paths
from tests.style_files import style_with_metadata


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's styles folder, empty."""
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path))
    folder = paths.user_styles_folder()
    folder.mkdir(parents=True)
    return folder


def the_style(text):
    ((style, share),) = find_styles(text).items()
    assert share == 1
    return style


def test_bundled_and_own_styles_are_listed(own):
    style_with_metadata(own / "mine.onnx", {"name": "mine", "title": "A Style of Mine"})
    assert list_styles()[0].name == "mine"
    assert "great-wave" in [style.name for style in list_styles()]
    assert the_style("mine").path == own / "mine.onnx"
    assert the_style(str(own / "mine.onnx")).title == "A Style of Mine"


def test_bundled_style_describes_itself(own):
    style = the_style("great-wave")
    assert (style.title, style.artist) == ("The Great Wave off Kanagawa", "Katsushika Hokusai")
    assert style.thumbnail.startswith(b"\xff\xd8") and style.licence


def test_bundled_collection_has_the_classics_fully_described(own):
    """Each has all that the gallery shows, except a year that nobody knows."""
    styles = {style.name: style for style in list_styles()}
    assert styles.keys() >= {"great-wave", "udnie", "rain-princess", "la-muse", "the-scream", "shipwreck"}
    assert len(styles) >= 12
    for style in styles.values():
        assert style.title and style.artist and style.licence and (style.year or style.name == "rain-princess")
        assert style.thumbnail.startswith(b"\xff\xd8")
    assert len({style.thumbnail for style in styles.values()}) == len(styles)
    assert sum(path.stat().st_size for path in paths.bundled_styles_folder().glob("*.onnx")) <= 40e6


def test_own_style_hides_bundled_one_of_same_name(own):
    style_with_metadata(own / "great-wave.onnx", {"name": "great-wave", "title": "Mine is better"})
    assert the_style("great-wave").title == "Mine is better"


def test_unknown_name_lists_close_ones(own):
    with pytest.raises(StyleError, match="did you mean great-wave"):
        the_style("great wave")
    with pytest.raises(StyleError, match=r"choose from .*great-wave"):
        the_style("zzz")


def test_bad_file_is_named_and_hides_no_other(own):
    (own / "bad.onnx").write_bytes(b"not onnx")
    assert the_style("great-wave")
    (reason,) = read_library().left_out
    assert reason.startswith(str(own / "bad.onnx"))


def test_hostile_files_are_named_and_hide_no_other(own):
    bundled = [style.name for style in list_styles()]
    (own / "number.onnx").write_bytes(b"\xff" * (1 << 20))
    style_with_metadata(own / "nested.onnx", styles="[" * 200_000)
    style_with_metadata(own / "surrogate.onnx", {"title": "\ud800"})
    style_with_metadata(own / "many.onnx", styles=json.dumps([{}] * 300_000))
    os.mkfifo(own / "pipe.onnx")
    (own / "loop.onnx").symlink_to(own / "loop.onnx")
    with (own / "sparse.onnx").open("wb") as file:
        file.truncate(8 << 30)
    start = time.monotonic()
    library = read_library()
    assert time.monotonic() - start < 1
    assert [*library.styles] == bundled
    names = ("loop", "many", "nested", "number", "pipe", "sparse", "surrogate")
    assert all(str(own / f"{name}.onnx") in reason for name, reason in zip(names, library.left_out, strict=True))
    assert max(map(len, library.left_out)) < 500


def test_error_of_any_kind_in_one_file_hides_no_other(own, monkeypatch):
    def fail_on_own(path):
        if path.parent == own:
            raise MemoryError("no memory")
        return read_styles(path)

    (own / "bad.onnx").write_bytes(b"")
    monkeypatch.setattr(style_library, "read_styles", fail_on_own)
    library = read_library()
    assert "great-wave" in library.styles
    assert library.left_out == [f"{own / 'bad.onnx'} cannot be read (no memory); remove it."]


def test_style_with_signs_of_a_mixture_in_its_name_can_be_chosen(own):
    style_with_metadata(own / "a.onnx", {"name": "a,b:0.5"})
    assert the_style("a-b-0-5").path == own / "a.onnx"


def test_reasons_are_shown_without_control_characters(own):
    (own / "bad\x1b[2J\nname.onnx").write_bytes(b"not onnx")
    (reason,) = read_library().left_out
    assert "bad[2J name.onnx" in reason and reason.isprintable()


def test_shares_of_a_mixture_sum_to_one(own):
    for name in ("one", "two"):
        style_with_metadata(own / f"{name}.onnx", {"name": name})
    shares = find_styles("one:3, two:1")
    assert {style.name: share for style, share in shares.items()} == {"one": 0.75, "two": 0.25}
    assert [*find_styles("one,two").values()] == [0.5, 0.5]
    assert [*find_styles("one:1,one:3").values()] == [1.0]


@pytest.mark.parametrize("text", ["great-wave:x", "great-wave:0", "great-wave:-1,great-wave", "great-wave:nan"])
def test_unusable_shares_are_refused(own, text):
    with pytest.raises(StyleError, match="share"):
        find_styles(text)
