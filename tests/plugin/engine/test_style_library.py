import onnx
import pytest

from nst_core.errors import StyleError
from plugin.engine import paths
from plugin.engine.style_library import PREFIX, find_style, list_styles, read_library, read_style

GREAT_WAVE = paths.bundled_styles_folder() / "great-wave.onnx"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's styles folder, empty."""
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path))
    folder = paths.user_styles_folder()
    folder.mkdir(parents=True)
    return folder


def changed(path, **entries):
    """A copy of the Great Wave with other metadata; None removes an entry."""
    model = onnx.load(GREAT_WAVE)
    values = {p.key: p.value for p in model.metadata_props}
    values |= {PREFIX + key: value for key, value in entries.items()}
    onnx.helper.set_model_props(model, {k: v for k, v in values.items() if v is not None})
    onnx.save(model, path)


def test_bundled_and_own_styles_are_listed(own):
    changed(own / "mine.onnx", name="mine", title="A Style of Mine")
    assert list_styles()[0].name == "mine"
    assert "great-wave" in [style.name for style in list_styles()]
    assert find_style("mine").path == own / "mine.onnx"
    assert find_style(str(own / "mine.onnx")).title == "A Style of Mine"


def test_the_bundled_style_says_what_it_is(own):
    style = find_style("great-wave")
    assert (style.title, style.artist) == ("The Great Wave off Kanagawa", "Katsushika Hokusai")
    assert style.thumbnail.startswith(b"\xff\xd8") and style.licence
    assert GREAT_WAVE.stat().st_size <= 8e6


def test_an_own_style_hides_a_bundled_one(own):
    changed(own / "great-wave.onnx", title="Mine is better")
    assert find_style("great-wave").title == "Mine is better"


def test_unknown_names_list_the_close_ones(own):
    with pytest.raises(StyleError, match="did you mean great-wave"):
        find_style("great wave")
    with pytest.raises(StyleError, match=r"choose from .*great-wave"):
        find_style("zzz")


def test_one_bad_file_hides_nothing_and_is_named(own):
    (own / "bad.onnx").write_bytes(b"not onnx")
    assert find_style("great-wave")
    (reason,) = read_library().left_out
    assert reason.startswith(str(own / "bad.onnx"))


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"format": None}, "no description"),
        ({"format": "99"}, "newer version"),
        ({"title": None}, "damaged"),
        ({"minimum_size": "x"}, "damaged"),
        ({"multiple_of": "0"}, "damaged"),
        ({"bytes_per_pixel": "-4"}, "damaged"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(own, entries, reason):
    changed(own / "x.onnx", **entries)
    with pytest.raises(StyleError, match=reason):
        read_style(own / "x.onnx")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x08\x07" * 100])
def test_files_that_are_not_onnx_are_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(StyleError, match=r"x\.onnx is no"):
        read_style(tmp_path / "x.onnx")
    with pytest.raises(StyleError, match="no style file"):
        read_style(tmp_path / "missing.onnx")
