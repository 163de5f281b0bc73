import ast
import json
import sys
from pathlib import Path

import onnx
import pytest

from nst_core import style_file
from nst_core.base.errors import StyleError
from nst_core.style_file import PREFIX, SizeRules, StyleCard, check_cards, read_styles, style_metadata
from tests.style_files import negative_style, style_with_metadata

CARDS = [
    StyleCard("The Wave No. 1", "Hokusai & Co.", "1831", "public domain"),
    StyleCard("Zweites „Bild“", name="second"),
]


def write_style(path, metadata):
    model = negative_style()
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def test_written_metadata_is_read_back(tmp_path):
    metadata = style_metadata(CARDS, [b"\xff\xd8one", b"\xff\xd8two"], SizeRules(4, 8, 30, 100), {"steps": 7})
    write_style(tmp_path / "x.onnx", metadata)
    first, second = read_styles(tmp_path / "x.onnx")
    assert (first.name, first.title, first.artist) == ("the-wave-no-1", "The Wave No. 1", "Hokusai & Co.")
    assert (first.year, first.licence, first.thumbnail) == ("1831", "public domain", b"\xff\xd8one")
    assert (second.name, second.title, second.artist, second.thumbnail) == (
        "second",
        CARDS[1].title,
        "",
        b"\xff\xd8two",
    )
    assert [(style.index, style.count, style.path) for style in (first, second)] == [
        (0, 2, tmp_path / "x.onnx"),
        (1, 2, tmp_path / "x.onnx"),
    ]
    for style in (first, second):
        assert (style.multiple_of, style.minimum_size, style.bytes_per_pixel) == (4, 8, 100)
        assert style.trained == {"steps": "7"}


def test_metadata_keys_and_their_order_stay(tmp_path):
    """Files must stay byte-equal from version to version."""
    metadata = style_metadata(CARDS[:1], [b""], SizeRules(1, 8, 30, 80), {"steps": 7, "photos": 0})
    assert [key.removeprefix("neural_style.") for key in metadata] == [
        "format",
        "styles",
        "multiple_of",
        "minimum_size",
        "receptive_radius",
        "bytes_per_pixel",
        "trained.steps",
        "trained.photos",
    ]
    assert metadata[PREFIX + "format"] == "2"
    (card,) = json.loads(metadata[PREFIX + "styles"])
    assert list(card) == ["name", "title", "artist", "year", "licence", "thumbnail"]


@pytest.mark.parametrize("title", ["", "???", "日本"])
def test_title_without_slug_needs_a_name(title):
    with pytest.raises(StyleError, match="--name"):
        _ = StyleCard(title).slug
    assert StyleCard(title, name="my-style").slug == "my-style"


def test_cards_must_match_the_styles_and_differ():
    check_cards(CARDS, 2)
    with pytest.raises(StyleError, match="3 styles, and 2 were described"):
        check_cards(CARDS, 3)
    with pytest.raises(StyleError, match="same name"):
        check_cards([CARDS[0]] * 2, 2)


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
def test_unusable_descriptions_are_refused(tmp_path, entries, reason):
    style_with_metadata(tmp_path / "x.onnx", **entries)
    with pytest.raises(StyleError, match=reason):
        read_styles(tmp_path / "x.onnx")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x08\x07" * 100])
def test_files_that_are_not_onnx_are_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(StyleError, match=r"x\.onnx is no"):
        read_styles(tmp_path / "x.onnx")
    with pytest.raises(StyleError, match="no style file"):
        read_styles(tmp_path / "missing.onnx")


def test_module_needs_the_standard_library_alone():
    tree = ast.parse(Path(style_file.__file__).read_text(encoding="utf-8"), feature_version=(3, 10))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    others = {module for module in modules if module.partition(".")[0] not in sys.stdlib_module_names}
    assert others == {"nst_core.base.errors", "nst_core.base.language"}
