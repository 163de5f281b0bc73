import shutil

import pytest

from nst_core.base.errors import StyleError
from plugin.cli.style_names import read_style_names
from plugin.engine.machine import paths


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "b.jpg:2", "c,d.jpg", "a.jpg,b.jpg"):
        (tmp_path / name).touch()


def shares(*texts):
    named = read_style_names(texts)
    assert sum([*named.trained.values(), *named.pictures.values()]) == pytest.approx(1)
    return {style.name: share for style, share in named.trained.items()} | {
        str(path): share for path, share in named.pictures.items()
    }


def test_one_style_has_the_whole_share(pictures):
    assert shares("a.jpg") == {"a.jpg": 1} == shares("a.jpg:3")
    assert shares("udnie") == {"udnie": 1} == shares("udnie:0.2")


def test_weights_are_scaled_to_sum_to_one(pictures):
    assert shares("a.jpg:3,c,d.jpg:1") == {"a.jpg": 0.75, "c,d.jpg": 0.25} == shares("a.jpg:3", "c,d.jpg")


def test_style_given_twice_counts_twice(pictures):
    assert shares("a.jpg", "c,d.jpg", "a.jpg") == {"a.jpg": pytest.approx(2 / 3), "c,d.jpg": pytest.approx(1 / 3)}


def test_longest_existing_name_wins(pictures):
    assert shares("b.jpg:2") == {"b.jpg:2": 1}
    assert shares("b.jpg:2:4,a.jpg:4") == {"b.jpg:2": 0.5, "a.jpg": 0.5}
    assert shares("a.jpg,b.jpg") == {"a.jpg,b.jpg": 1}


def test_trained_styles_style_files_and_pictures_are_mixed(pictures, tmp_path):
    shutil.copy(paths.bundled_styles_folder() / "great-wave.onnx", tmp_path / "own.onnx")
    expected = {"udnie": 0.25, "great-wave": 0.25, "a.jpg": 0.5}
    assert shares("udnie:1, own.onnx:1, a.jpg:2") == expected == shares("a.jpg:2", "udnie,great-wave")
    named = read_style_names(["udnie:1,a.jpg:3"])
    assert named.titles.startswith("Udnie") and named.titles.endswith(" + a.jpg") and named.short_name == "udnie+a"
    assert named.described == "udnie:0.25,a.jpg:0.75" and shares(named.described) == {"udnie": 0.25, "a.jpg": 0.75}


def test_file_wins_over_a_style_of_its_name_but_a_folder_does_not(pictures, tmp_path):
    (tmp_path / "udnie").touch()
    (tmp_path / "great-wave").mkdir()
    named = read_style_names(["udnie", "great-wave"])
    assert [str(path) for path in named.pictures] == ["udnie"] and len(named.trained) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.jpg", "There is no picture none.jpg"),
        ("a.jpg:1,none.jpg", "There is no picture none.jpg"),
        ("a.jpg:much", "'much' is not the weight of a style; write it as in a.jpg:0.6"),
        ("udnie:much", "'much' is not the weight of a style; write it as in udnie:0.6"),
        ("udni", "There is no style called 'udni'; did you mean udnie"),
        ("a.jpg,udni:0.5", "There is no style called 'udni'; did you mean udnie"),
        ("none.onnx", r"none\.onnx"),
        ("a.jpg:0", "must be above 0"),
        ("udnie:-1", "must be above 0"),
        ("a.jpg:nan", "must be above 0"),
        ("", "There is no picture"),
    ],
)
def test_text_that_cannot_be_read_is_refused(pictures, text, message):
    with pytest.raises(StyleError, match=message):
        shares(text)
