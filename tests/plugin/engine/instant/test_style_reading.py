import os
import sys

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.instant.instant_settings import READ_PIXELS
from plugin.engine.instant.style_reading import (
    encoded_pixels,
    is_readable,
    read_style_picture,
    read_style_pictures,
)
from plugin.engine.machine import memory
from plugin.engine.messages import PicturePath, RawPicture


def test_style_picture_is_reduced_while_it_is_read(tmp_path, samples):
    path = tmp_path / "large.jpg"
    with Image.open(samples / "rocket.jpg") as photo:
        photo.resize((6000, 4000)).save(path)
    picture = read_style_picture(path)
    assert READ_PIXELS <= picture.height * picture.width < 4.1 * READ_PIXELS
    assert read_style_picture(path) is picture  # it was kept


def test_process_with_gtk_has_another_one_read(tmp_path, samples, monkeypatch):
    pictures = [tmp_path / "same.jpg", tmp_path / "copy.jpg"]
    for path in pictures:
        path.write_bytes((samples / "rocket.jpg").read_bytes())
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(pictures[0].read_bytes()[:20_000])
    expected = read_style_picture(pictures[0]).pixels
    monkeypatch.setitem(sys.modules, "gi", object())
    assert np.array_equal(read_style_picture(pictures[1]).pixels, expected)
    with pytest.raises(StyleError, match=r"The style picture .*cut\.jpg cannot be read \(.+\); choose another one"):
        read_style_picture(cut)


def test_changed_file_is_read_again(tmp_path):
    path = tmp_path / "style.png"
    Image.new("RGB", (20, 20), "red").save(path)
    assert read_style_picture(path).pixels[0, 0].tolist() == [1, 0, 0, 1]
    Image.new("RGB", (20, 20), "blue").save(path)
    os.utime(path, ns=(0, 0))
    assert read_style_picture(path).pixels[0, 0].tolist() == [0, 0, 1, 1]


def test_files_that_are_no_pictures_are_refused(tmp_path):
    text, cut = tmp_path / "text.jpg", tmp_path / "cut.png"
    text.write_text("no picture")
    Image.effect_noise((200, 200), 50).save(cut)
    cut.write_bytes(cut.read_bytes()[:-3000])
    assert not is_readable(text) and is_readable(cut)
    assert not is_readable(tmp_path / "none.jpg") and not is_readable(tmp_path)
    for path in (text, cut, tmp_path / "none.jpg", tmp_path):
        with pytest.raises(StyleError, match=rf"The style picture .*{path.name} cannot be read"):
            read_style_picture(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert not is_readable(tmp_path / "pipe.png")
    with pytest.raises(StyleError, match="pipe or a device"):
        read_style_picture(tmp_path / "pipe.png")


def test_picture_too_large_for_the_memory_is_refused_in_a_process_too(tmp_path, monkeypatch):
    Image.new("RGB", (200, 200)).save(tmp_path / "large.png")
    monkeypatch.setattr(memory, "available_memory", lambda: 2**28 + 2**20)
    answer = encoded_pixels(tmp_path / "large.png")
    assert answer.startswith(b"-The picture has") and b"make it smaller" in answer


def test_pictures_that_are_named_and_sent_have_their_shares(tmp_path):
    path = tmp_path / "style.png"
    Image.new("RGB", (20, 20), "red").save(path)
    file, sent = PicturePath(str(path), 0), RawPicture(1, 1, 3, bytes([0, 0, 255]), None, True)
    shares = read_style_pictures([(file, 0.25), (sent, 0.5), (file, 0.25)])
    assert list(shares.values()) == [0.5, 0.5]
    red, blue = shares
    assert np.array_equal(blue.pixels, [[[0, 0, 1, 1]]]) and red.pixels.shape == (20, 20, 4)
