import pytest

from nst_core.base.errors import StyleError
from plugin.cli.style_image import read_shares


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "b.jpg:2", "c,d.jpg", "a.jpg,b.jpg"):
        (tmp_path / name).touch()


def shares(*texts):
    return {str(path): share for path, share in read_shares(texts).items()}


def test_one_picture_has_the_whole_share(pictures):
    assert shares("a.jpg") == {"a.jpg": 1} == shares("a.jpg:3")


def test_weights_are_scaled_to_sum_to_one(pictures):
    assert shares("a.jpg:3,c,d.jpg:1") == {"a.jpg": 0.75, "c,d.jpg": 0.25} == shares("a.jpg:3", "c,d.jpg")


def test_picture_given_twice_counts_twice(pictures):
    assert shares("a.jpg", "c,d.jpg", "a.jpg") == {"a.jpg": pytest.approx(2 / 3), "c,d.jpg": pytest.approx(1 / 3)}


def test_longest_existing_name_wins(pictures):
    assert shares("b.jpg:2") == {"b.jpg:2": 1}
    assert shares("b.jpg:2:4,a.jpg:4") == {"b.jpg:2": 0.5, "a.jpg": 0.5}
    assert shares("a.jpg,b.jpg") == {"a.jpg,b.jpg": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.jpg", "There is no picture none.jpg"),
        ("a.jpg:1,none.jpg", "There is no picture none.jpg"),
        ("a.jpg:much", "'much' is not the weight of a picture; write it as in a.jpg:0.6"),
        ("a.jpg:0", "must be above 0"),
        ("a.jpg:-1", "must be above 0"),
        ("a.jpg:nan", "must be above 0"),
        ("", "There is no picture"),
    ],
)
def test_text_that_cannot_be_read_is_refused(pictures, text, message):
    with pytest.raises(StyleError, match=message):
        shares(text)
