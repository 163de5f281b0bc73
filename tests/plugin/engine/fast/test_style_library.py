import json

import onnx
import pytest

from nst_core.base.errors import StyleError
from plugin.engine.fast.style_library import PREFIX, find_styles, list_styles, read_library, read_styles
from plugin.engine.machine import paths
from tests.style_files import negative_style


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


def changed(path, card=None, **entries):
    """A file of one style with other metadata, of the file or of the style; None removes an entry."""
    model = negative_style()
    values = {p.key: p.value for p in model.metadata_props}
    (old,) = json.loads(values[PREFIX + "styles"])
    values[PREFIX + "styles"] = json.dumps([{k: v for k, v in (old | (card or {})).items() if v is not None}])
    values |= {PREFIX + key: value for key, value in entries.items()}
    onnx.helper.set_model_props(model, {k: v for k, v in values.items() if v is not None})
    onnx.save(model, path)


def test_bundled_and_own_styles_are_listed(own):
    changed(own / "mine.onnx", {"name": "mine", "title": "A Style of Mine"})
    assert list_styles()[0].name == "mine"
    assert "great-wave" in [style.name for style in list_styles()]
    assert the_style("mine").path == own / "mine.onnx"
    assert the_style(str(own / "mine.onnx")).title == "A Style of Mine"


def test_the_bundled_style_says_what_it_is(own):
    style = the_style("great-wave")
    assert (style.title, style.artist) == ("The Great Wave off Kanagawa", "Katsushika Hokusai")
    assert style.thumbnail.startswith(b"\xff\xd8") and style.licence


def test_the_collection_has_the_classics(own):
    """Each with all that the gallery shows; what nobody knows of one is its year."""
    styles = {style.name: style for style in list_styles()}
    assert styles.keys() >= {"great-wave", "udnie", "rain-princess", "la-muse", "the-scream", "shipwreck"}
    assert len(styles) >= 12
    for style in styles.values():
        assert style.title and style.artist and style.licence and (style.year or style.name == "rain-princess")
        assert style.thumbnail.startswith(b"\xff\xd8")
    assert len({style.thumbnail for style in styles.values()}) == len(styles)
    assert sum(path.stat().st_size for path in paths.bundled_styles_folder().glob("*.onnx")) <= 40e6


def test_an_own_style_hides_a_bundled_one(own):
    changed(own / "great-wave.onnx", {"name": "great-wave", "title": "Mine is better"})
    assert the_style("great-wave").title == "Mine is better"


def test_unknown_names_list_the_close_ones(own):
    with pytest.raises(StyleError, match="did you mean great-wave"):
        the_style("great wave")
    with pytest.raises(StyleError, match=r"choose from .*great-wave"):
        the_style("zzz")


def test_one_bad_file_hides_nothing_and_is_named(own):
    (own / "bad.onnx").write_bytes(b"not onnx")
    assert the_style("great-wave")
    (reason,) = read_library().left_out
    assert reason.startswith(str(own / "bad.onnx"))


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"format": None}, "no description"),
        ({"format": "99"}, "newer version"),
        ({"format": "1"}, "older version"),
        ({"card": {"title": None}}, "damaged"),
        ({"styles": "[]"}, "damaged"),
        ({"styles": "{"}, "damaged"),
        ({"styles": "[1]"}, "damaged"),
        ({"minimum_size": "x"}, "damaged"),
        ({"multiple_of": "0"}, "damaged"),
        ({"bytes_per_pixel": "-4"}, "damaged"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(own, entries, reason):
    changed(own / "x.onnx", **entries)
    with pytest.raises(StyleError, match=reason):
        read_styles(own / "x.onnx")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x08\x07" * 100])
def test_files_that_are_not_onnx_are_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(StyleError, match=r"x\.onnx is no"):
        read_styles(tmp_path / "x.onnx")
    with pytest.raises(StyleError, match="no style file"):
        read_styles(tmp_path / "missing.onnx")


def test_a_mixture_is_made_of_shares(own):
    for name in ("one", "two"):
        changed(own / f"{name}.onnx", {"name": name})
    found = find_styles("one:3, two:1")
    assert {style.name: share for style, share in found.items()} == {"one": 0.75, "two": 0.25}
    assert [*find_styles("one,two").values()] == [0.5, 0.5]
    assert [*find_styles("one:1,one:3").values()] == [1.0]


@pytest.mark.parametrize("text", ["great-wave:x", "great-wave:0", "great-wave:-1,great-wave", "great-wave:nan"])
def test_shares_that_are_none_are_refused(own, text):
    with pytest.raises(StyleError, match="share"):
        find_styles(text)
