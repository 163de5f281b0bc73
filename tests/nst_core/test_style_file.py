import ast
import base64
import io
import json
import os
import re
import sys
import time
from pathlib import Path
from random import Random

import onnx
import pytest
from PIL import Image

from nst_core import style_file
from nst_core.base.errors import StyleError
from nst_core.style_file import PREFIX, SizeRules, StyleCard, check_cards, read_styles, style_metadata
from tests.style_files import negative_style, style_with_metadata

CARDS = [
    StyleCard("The Wave No. 1", "Hokusai & Co.", "1831", "public domain"),
    StyleCard("Zweites „Bild“", name="second"),
]


def picture_file(kind, size):
    data = io.BytesIO()
    Image.new("RGB", size, "teal").save(data, kind)
    return data.getvalue()


def write_style(path, metadata):
    model = negative_style()
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def test_written_metadata_is_read_back(tmp_path):
    thumbnails = [picture_file("JPEG", size) for size in ((160, 107), (107, 160))]
    metadata = style_metadata(CARDS, thumbnails, SizeRules(4, 8, 30, 100), {"steps": 7})
    write_style(tmp_path / "x.onnx", metadata)
    first, second = read_styles(tmp_path / "x.onnx")
    assert (first.name, first.title, first.artist) == ("the-wave-no-1", "The Wave No. 1", "Hokusai & Co.")
    assert (first.year, first.licence, first.thumbnail) == ("1831", "public domain", thumbnails[0])
    assert (second.name, second.title, second.artist, second.thumbnail) == (
        "second",
        CARDS[1].title,
        "",
        thumbnails[1],
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


def test_styles_with_two_rows_have_a_detail(tmp_path):
    cards = [StyleCard("One"), StyleCard("Two", detail=25.0)]
    metadata = style_metadata(cards, [b"", b""], SizeRules(1, 8, 30, 80), {}, rows_per_style=2)
    write_style(tmp_path / "x.onnx", metadata)
    one, two = read_styles(tmp_path / "x.onnx")
    assert one.has_detail and (one.default_detail, two.default_detail) == (style_file.DEFAULT_DETAIL, 25.0)
    assert two.row_count == 4 and two.row_weights() == [0, 0, 0.25, 0.75] and two.row_weights(100) == [0, 0, 1, 0]


def test_styles_with_one_row_have_no_detail(tmp_path):
    write_style(tmp_path / "x.onnx", style_metadata(CARDS, [b"", b""], SizeRules(1, 8, 30, 80), {}))
    first, second = read_styles(tmp_path / "x.onnx")
    assert not first.has_detail
    assert (first.row_weights(10), second.row_weights()) == ([1, 0], [0, 1])


@pytest.mark.parametrize(("key", "value"), [("rows_per_style", "3"), ("rows_per_style", "0"), ("rows_per_style", "x")])
def test_other_numbers_of_rows_are_refused(tmp_path, key, value):
    metadata = style_metadata(CARDS, [b"", b""], SizeRules(1, 8, 30, 80), {}) | {PREFIX + key: value}
    write_style(tmp_path / "x.onnx", metadata)
    with pytest.raises(StyleError, match="damaged"):
        read_styles(tmp_path / "x.onnx")


@pytest.mark.parametrize("detail", ["101", "-1", "nan", '"x"', "[]"])
def test_detail_out_of_range_is_refused(tmp_path, detail):
    metadata = style_metadata(CARDS, [b"", b""], SizeRules(1, 8, 30, 80), {}, rows_per_style=2)
    text = metadata[PREFIX + "styles"].replace('"detail": 70.0', f'"detail": {detail}')
    write_style(tmp_path / "x.onnx", metadata | {PREFIX + "styles": text.replace("nan", "NaN")})
    with pytest.raises(StyleError, match="damaged"):
        read_styles(tmp_path / "x.onnx")
    with pytest.raises(StyleError, match="from 0 to 100"):
        check_cards([StyleCard("One", detail=101)], 1)


@pytest.mark.parametrize("title", ["", " "])
def test_empty_title_needs_a_name(title):
    with pytest.raises(StyleError, match="--name"):
        _ = StyleCard(title).slug
    assert StyleCard(title, name="my-style").slug == "my-style"


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("The Wave No. 1", "the-wave-no-1"),
        ("Café à l'Été", "cafe-a-l-ete"),
        ("???", "style-"),
        ("日本", "style-"),
        ("神奈川沖浪裏 2", "style-"),
        ("Чёрный квадрат", "style-"),
        ("لوحة", "style-"),
        ("🌊", "style-"),
        ("\udcff", "style-"),
        ("x" * 300, "x" * 64),
        ("\n", None),
    ],
)
def test_title_in_any_script_gives_a_name(title, slug):
    if slug is None:
        with pytest.raises(StyleError):
            _ = StyleCard(title).slug
    else:
        made = StyleCard(title).slug
        assert made.startswith(slug) and len(made) <= 64
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", made)
        assert made == StyleCard(title).slug


def test_titles_in_other_scripts_give_different_names():
    assert len({StyleCard(title).slug for title in ("神奈川沖浪裏 2", "赤富士 2", "日本", "Чёрный квадрат")}) == 4


@pytest.mark.parametrize("name", ["a,b:0.5", "a:1", "a b", "A", "é", "-a", "a\n", "../a", "a.onnx", "x" * 65])
def test_names_with_signs_of_a_mixture_are_refused(name):
    with pytest.raises(StyleError, match="is not usable"):
        _ = StyleCard("Title", name=name).slug


@pytest.mark.parametrize(
    ("card", "name", "title"),
    [
        ({"name": "a,b:0.5"}, "a-b-0-5", "Negative"),
        ({"name": ""}, "negative", "Negative"),
        ({"name": "\u0344\u0316" * 100_000}, "style-", "Negative"),
        ({"name": "../../etc/passwd"}, "etc-passwd", "Negative"),
        ({"name": "\x1b[2J", "title": "\x1b]0;owned\x07A\nB\u202e\u2066C\r\x00"}, "2j", "]0;ownedA BC"),
        ({"title": "\u202e\x1b\n"}, "negative", "negative"),
        ({"title": "👩\u200d🎨"}, "negative", "👩\u200d🎨"),
        ({"title": "é" * 300}, "negative", "é" * 199 + "…"),
    ],
)
def test_names_and_titles_of_other_files_are_usable(tmp_path, card, name, title):
    style_with_metadata(tmp_path / "x.onnx", card)
    (style,) = read_styles(tmp_path / "x.onnx")
    assert style.title == title
    assert style.name == name or (name == "style-" and re.fullmatch("style-[0-9a-f]{8}", style.name))


def test_style_without_name_and_title_is_refused(tmp_path):
    style_with_metadata(tmp_path / "x.onnx", {"name": "\n", "title": "\u202e"})
    with pytest.raises(StyleError, match="without name and title"):
        read_styles(tmp_path / "x.onnx")


def test_titles_are_written_as_they_will_be_shown(tmp_path):
    cards = [StyleCard("A\nB\udcff", "C\x1b", name="x")]
    write_style(tmp_path / "x.onnx", style_metadata(cards, [b""], SizeRules(4, 8, 30, 100), {}))
    (style,) = read_styles(tmp_path / "x.onnx")
    assert (style.title, style.artist) == ("A B", "C")


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
        ({"bytes_per_pixel": "9" * 4000}, "too large"),
        ({"multiple_of": "9" * 5000}, "damaged"),
        ({"multiple_of": "x" * 5000}, "damaged"),
        ({"styles": "[" * 200_000}, "damaged"),
        ({"styles": "[" * 16_000}, "recursion"),
        ({"styles": "9" * 200_000}, "damaged"),
        ({"styles": '{"a": 1}'}, "damaged"),
        ({"styles": f"[{'[],' * 20_000}[]]"}, "too many values"),
        ({"styles": json.dumps([{}] * 257)}, "more than 256 styles"),
        ({"card": {"title": "\ud800"}}, "damaged"),
        ({"card": {"title": [[[]]]}, "styles": "null"}, "damaged"),
        ({"card": {"thumbnail": "a"}}, "damaged"),
        ({"card": {"thumbnail": "é"}}, "damaged"),
        ({"more": "x" * (4 << 20)}, "description is too long"),
    ],
)
def test_unusable_descriptions_are_refused(tmp_path, entries, reason):
    style_with_metadata(tmp_path / "x.onnx", **entries)
    with pytest.raises(StyleError, match=reason) as raised:
        read_styles(tmp_path / "x.onnx")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x08\x07" * 100])
def test_files_that_are_not_onnx_are_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(StyleError, match=r"x\.onnx is no"):
        read_styles(tmp_path / "x.onnx")
    with pytest.raises(StyleError, match="no file"):
        read_styles(tmp_path / "missing.onnx")


@pytest.mark.parametrize(("kind", "size"), [("PNG", (160, 107)), ("JPEG", (2000, 20)), ("BMP", (8, 8))])
def test_thumbnails_other_than_small_jpegs_are_left_out(tmp_path, kind, size):
    """The style itself can still be used."""
    style_with_metadata(tmp_path / "x.onnx", {"thumbnail": base64.b64encode(picture_file(kind, size)).decode()})
    (style,) = read_styles(tmp_path / "x.onnx")
    assert style.thumbnail == b""


def test_pipes_folders_and_link_loops_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "device.onnx").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "device"):
        with pytest.raises(StyleError, match="not an ordinary file"):
            read_styles(tmp_path / f"{name}.onnx")
    (tmp_path / "loop.onnx").symlink_to(tmp_path / "loop.onnx")
    with pytest.raises(StyleError, match="symbolic links"):
        read_styles(tmp_path / "loop.onnx")


def test_graph_is_skipped_without_reading_it(tmp_path):
    """The graph comes first, 8 GB of it, in a file that takes no room on the disk."""
    path, graph = tmp_path / "x.onnx", 8 << 30
    style_with_metadata(path, {"title": "Behind the graph"})
    metadata = path.read_bytes()
    head = b"\x3a" + bytes(graph >> 7 * index & 0x7F | 0x80 for index in range(4)) + bytes([graph >> 28])
    with path.open("wb") as file:
        file.write(head)
        file.seek(graph, os.SEEK_CUR)
        file.write(metadata)
    start = time.monotonic()
    (style,) = read_styles(path)
    assert style.title == "Behind the graph"
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("content", [b"\xff" * (1 << 20), b"\x08\x01" * (1 << 20), b"\x72\x00" * (1 << 20)])
def test_hostile_bytes_are_refused_at_once(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    start = time.monotonic()
    with pytest.raises(StyleError, match="not a usable ONNX file"):
        read_styles(tmp_path / "x.onnx")
    assert time.monotonic() - start < 1


def test_file_of_zeros_is_refused_at_once(tmp_path):
    with (tmp_path / "x.onnx").open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(StyleError, match="not a usable ONNX file"):
        read_styles(tmp_path / "x.onnx")


def test_every_damaged_copy_is_read_or_refused(tmp_path):
    """Each is a copy of a style file with a few bytes changed or its end cut off."""
    path, random = tmp_path / "x.onnx", Random(0)
    style_with_metadata(path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(2000):
        damaged = bytearray(whole)
        for _ in range(random.randrange(1, 5)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged[: random.randrange(len(damaged))] if random.random() < 0.2 else damaged)
        try:
            assert read_styles(path)
        except StyleError:
            refused += 1
    assert 200 < refused < 2000


def test_module_needs_the_standard_library_alone():
    tree = ast.parse(Path(style_file.__file__).read_text(encoding="utf-8"), feature_version=(3, 10))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    others = {module for module in modules if module.partition(".")[0] not in sys.stdlib_module_names}
    assert others == {
        "nst_core.base.display_text",
        "nst_core.base.errors",
        "nst_core.base.jpeg",
        "nst_core.base.language",
        "nst_core.base.protobuf",
        "nst_core.base.untrusted_file",
    }
