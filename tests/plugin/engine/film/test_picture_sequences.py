import os
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.film.clip_reading import ClipFrames, read_clip
from plugin.engine.film.clip_writing import ClipWriter
from plugin.engine.film.film_painting import paint_film
from plugin.engine.film.film_settings import FilmSettings, is_numbered
from plugin.engine.film.picture_sequences import (
    AnimationFrames,
    AnimationWriter,
    NumberedFrames,
    NumberedWriter,
    is_animation,
)
from plugin.engine.machine import memory

EACH = FilmSettings(steady=0, crf=8)
DURATIONS = [40, 120, 40, 40, 300]


def negative(picture):
    pixels = picture.pixels.copy()
    pixels[..., :3] = 1 - pixels[..., :3]
    return pixels


@pytest.fixture
def animation(scene, tmp_path):
    """Make an animation with frames of different durations."""

    def make(suffix):
        frames = [Image.fromarray(scene[: 40 + n, 3 * n :][:40, :60]) for n in range(len(DURATIONS))]
        path = tmp_path / f"a{suffix}"
        options = {"quality": 95} if suffix == ".webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=3, **options)
        return path

    return make


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
def test_all_frames_of_an_animation_are_painted_for_as_long_as_before(animation, tmp_path, suffix):
    path, target = animation(suffix), tmp_path / f"out{suffix}"
    assert is_animation(path)
    source = AnimationFrames(path, EACH)
    result = paint_film(source, AnimationWriter(target, source.loop), negative, EACH)
    assert result.painted == source.count == 5
    with Image.open(target) as image:
        assert image.n_frames == 5 and image.info["loop"] == 3
    before, after = (list(AnimationFrames(file, EACH).frames()) for file in (path, target))
    assert [frame.duration for frame in after] == [Fraction(duration, 1000) for duration in DURATIONS]
    for one, other in zip(before, after, strict=True):
        assert np.abs(1 - one.picture.pixels - other.picture.pixels)[..., :3].mean() < 0.05


def test_transparency_of_an_animation_is_kept(tmp_path):
    frames = [Image.new("RGBA", (20, 20), (200, 30, 30, 0)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((30, 200, 30, 255), (4 * number, 4, 4 * number + 8, 12))
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    paint_film(AnimationFrames(tmp_path / "a.png", EACH), AnimationWriter(tmp_path / "b.png"), negative, EACH)
    one, other = (
        [frame.picture.pixels[..., 3] for frame in AnimationFrames(tmp_path / name, EACH).frames()]
        for name in ("a.png", "b.png")
    )
    assert np.array_equal(one, other)


def test_animations_become_films_and_films_animations(animation, make_clip, tmp_path):
    source = AnimationFrames(animation(".gif"), EACH)
    paint_film(source, ClipWriter(tmp_path / "out.mp4", source.clip, EACH, {}), lambda p: p.pixels, EACH)
    frames = list(ClipFrames(read_clip(tmp_path / "out.mp4"), EACH).frames())
    assert [frame.time for frame in frames] == [Fraction(moment, 1000) for moment in (0, 40, 160, 200, 240)]
    clip = make_clip(count=6)
    paint_film(ClipFrames(read_clip(clip), EACH), AnimationWriter(tmp_path / "out.gif"), lambda p: p.pixels, EACH)
    with Image.open(tmp_path / "out.gif") as image:
        assert image.n_frames == 6 and image.info["duration"] == 40


def test_numbered_pictures_are_painted_and_those_there_are_kept(scene, tmp_path):
    (tmp_path / "in").mkdir()
    for number in (1, 2, 10, 11):
        Image.fromarray(scene[:30, number : number + 40]).save(tmp_path / f"in/f{number}.png")
    (tmp_path / "in/notes.png.txt").touch()
    source, pattern = NumberedFrames(tmp_path / "in/f%d.png", EACH), tmp_path / "out%03d.png"
    Image.new("RGB", (40, 30)).save(tmp_path / "out001.png")
    result = paint_film(source, NumberedWriter(pattern), lambda p: p.pixels, EACH)
    assert (source.count, result.kept, result.painted) == (4, 1, 3)
    assert np.asarray(Image.open(tmp_path / "out001.png")).max() == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out003.png")), scene[:30, 10:50])
    film = FilmSettings(steady=0, crf=8, rate=12.5)
    source = NumberedFrames(tmp_path / "in/f%d.png", film)
    paint_film(source, ClipWriter(tmp_path / "out.mp4", source.clip, film, {}), lambda p: p.pixels, film)
    frames = list(ClipFrames(read_clip(tmp_path / "out.mp4"), EACH).frames())
    assert [frame.time for frame in frames] == [Fraction(2 * number, 25) for number in range(4)]


def test_bad_sequences_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(StyleError, match="no pictures"):
        NumberedFrames(tmp_path / "%04d.png", EACH)
    Image.new("RGB", (40, 30)).save(tmp_path / "1.png")
    Image.new("RGB", (30, 30)).save(tmp_path / "2.png")
    with pytest.raises(StyleError, match="pictures of one size"):
        list(NumberedFrames(tmp_path / "%d.png", EACH).frames())
    (tmp_path / "2.png").write_text("no picture")
    with pytest.raises(StyleError, match=r"2\.png cannot be read"):
        list(NumberedFrames(tmp_path / "%d.png", EACH).frames())


def test_animation_of_another_format_or_too_large_is_refused(animation, tmp_path, monkeypatch):
    """Pillow would go by the contents, and start another program for PostScript."""
    script = tmp_path / "a.gif"
    script.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    assert not is_animation(script)
    with pytest.raises(StyleError, match="cannot be read as an animation"):
        AnimationFrames(script, EACH)
    monkeypatch.setattr(memory, "available_memory", lambda: 2**28 + 1000)
    with pytest.raises(StyleError, match="megapixels"):
        AnimationFrames(animation(".webp"), EACH)
    Image.new("RGB", (200, 200)).save(tmp_path / "f1.png")
    with pytest.raises(StyleError, match="megapixels"):
        NumberedFrames(tmp_path / "f%d.png", EACH)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_pipe_is_no_animation(tmp_path):
    os.mkfifo(tmp_path / "a.gif")
    assert not is_animation(tmp_path / "a.gif")


def test_stills_are_no_animations(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "still.gif")
    (tmp_path / "text.gif").write_text("no picture")
    assert not is_animation(tmp_path / "still.gif") and not is_animation(tmp_path / "text.gif")
    assert is_numbered(tmp_path / "f%04d.png") and not is_numbered(tmp_path / "100%.png")


def test_cut_off_animation_gives_the_frames_that_are_there(animation, tmp_path):
    path = animation(".gif")
    content = path.read_bytes()
    (tmp_path / "cut.gif").write_bytes(content[: len(content) * 7 // 10])
    source = AnimationFrames(tmp_path / "cut.gif", EACH)
    frames = list(source.frames())
    assert 0 < len(frames) < 5


def test_damaged_second_frame_makes_no_animation(animation, tmp_path):
    """Pillow raises IndexError for an extension block without a body."""
    path = animation(".gif")
    content = path.read_bytes()
    second = content.index(b"!\xf9\x04", content.index(b"!\xf9\x04") + 1)
    (tmp_path / "odd.gif").write_bytes(content[: second + 1])
    assert not is_animation(tmp_path / "odd.gif")
