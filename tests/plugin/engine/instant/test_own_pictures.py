import pytest

from nst_core.base.errors import StyleError
from plugin.engine.instant.own_pictures import MOST_OWN_PICTURES, add_picture, own_pictures, remove_picture


def test_pictures_are_kept_until_they_are_removed(home):
    assert own_pictures() == []
    add_picture("file:///one.jpg")
    add_picture("file:///two.jpg")
    add_picture("file:///one.jpg")
    assert own_pictures() == ["file:///two.jpg", "file:///one.jpg"]
    remove_picture("file:///two.jpg")
    remove_picture("file:///none.jpg")
    assert own_pictures() == ["file:///one.jpg"]


def test_the_oldest_pictures_go_first(home):
    for number in range(MOST_OWN_PICTURES + 3):
        add_picture(f"file:///{number}.jpg")
    assert len(own_pictures()) == MOST_OWN_PICTURES and own_pictures()[-1] == "file:///3.jpg"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[1, {}]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_damaged_list_is_empty(home, content):
    home.mkdir()
    (home / "pictures.json").write_bytes(content)
    assert own_pictures() == []


def test_list_that_cannot_be_written_is_named(home):
    home.write_text("not a folder")
    with pytest.raises(StyleError, match=r"pictures\.json cannot be written"):
        add_picture("file:///one.jpg")
