import numpy as np
import pytest

from nst_core.base.errors import StyleError
from plugin.engine.film import clip_writing
from plugin.engine.film.clip_reading import ClipFrames, read_clip
from plugin.engine.film.clip_writing import ClipWriter, segments_folder
from plugin.engine.film.film_painting import paint_film
from plugin.engine.film.film_settings import FilmSettings
from plugin.engine.progress import StoppedError, Stopper

av = pytest.importorskip("av")
EACH = FilmSettings(steady=0, crf=8)


def copy(path, target, settings=EACH, paint=lambda picture: picture.pixels, **options):
    """Paint a film, by default with its own frames."""
    clip = read_clip(path)
    writer = ClipWriter(target, clip, settings, options.pop("painting", {}))
    return paint_film(ClipFrames(clip, settings), writer, paint, settings, **options)


def times(path):
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets(path, kind):
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.pts is not None]


def pictures(path):
    return [frame.picture.pixels for frame in ClipFrames(read_clip(path), EACH).frames()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"variable": True},
        {"matrix": 5},
        {"range": 2},
        {"codec": "libx265"},
        {"count": 101},
    ],
)
def test_times_sound_and_colours_are_kept(make_clip, tmp_path, options):
    path, target = make_clip(sound="aac", **options), tmp_path / "out.mp4"
    result = copy(path, target)
    assert times(target) == times(path) and result.painted == len(times(path)) == options.get("count", 20)
    assert packets(target, "audio") == packets(path, "audio")
    with av.open(str(path)) as one, av.open(str(target)) as other:
        before, after = one.streams.video[0], other.streams.video[0]
        assert (after.color_range, after.colorspace) == (before.color_range, before.colorspace)
        assert after.time_base == before.time_base
    # FFmpeg's conversion of full-range chroma is off by up to one level.
    difference = np.array([a - b for a, b in zip(pictures(target), pictures(path), strict=True)]) * 255
    assert np.abs(difference).mean() < 1.5 and np.abs(difference.mean((0, 1, 2))).max() < 1.2
    assert not segments_folder(target).exists()


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".webm"])
def test_other_formats_are_written(make_clip, tmp_path, suffix):
    path, target = make_clip(count=5), tmp_path / f"out{suffix}"
    copy(path, target)
    assert [round(float(moment), 2) for moment in times(target)] == [0, 0.04, 0.08, 0.12, 0.16]
    assert np.abs(pictures(target)[2] - pictures(path)[2]).mean() < 0.03


def test_turned_frames_are_painted_upright(make_clip, tmp_path):
    path, target = make_clip(turned=90, count=3), tmp_path / "out.mp4"
    copy(path, target)
    assert np.abs(pictures(target)[0] - pictures(path)[0]).mean() < 0.01
    with av.open(str(path)) as container:
        lying = next(container.decode(video=0)).to_ndarray(format="rgb24") / 255
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height, frame.rotation) == (64, 96, 0)
    assert np.abs(np.rot90(lying) - frame.to_ndarray(format="rgb24") / 255).mean() < 0.03


def test_part_begins_at_zero_with_its_sound(make_clip, tmp_path):
    path, target = make_clip(sound="aac", count=50), tmp_path / "out.mp4"
    copy(path, target, FilmSettings(steady=0, crf=8, start=0.5, end=1.0))
    assert times(target) == [moment - times(path)[13] for moment in times(path)[13:25]]
    assert np.abs(pictures(target)[0] - pictures(path)[13]).mean() < 0.01
    kept = [data for moment, data in packets(path, "audio") if times(path)[13] <= moment < 1]
    assert [data for _moment, data in packets(target, "audio")] == kept


def test_part_of_a_film_that_does_not_begin_at_zero_is_counted_from_its_beginning(make_clip, tmp_path):
    path, target = make_clip("clip.mkv", count=50, begin=25600), tmp_path / "out.mp4"
    assert times(path)[0] == 2
    copy(path, target, FilmSettings(steady=0, crf=8, start=0.5, end=1.0))
    assert len(times(target)) == 12 and np.abs(pictures(target)[0] - pictures(path)[13]).mean() < 0.01
    copy(path, target)
    assert len(times(target)) == 50


def test_odd_and_deep_films_are_painted_and_the_loss_is_said(make_clip, tmp_path):
    odd = make_clip(size=(97, 65), pix_fmt="yuv444p", count=3)
    assert "97x65 pixels; films have even sides" in read_clip(odd).notes[0]
    copy(odd, tmp_path / "odd.mp4")
    assert pictures(tmp_path / "odd.mp4")[0].shape == (64, 96, 4)
    deep = make_clip(pix_fmt="yuv420p10le", count=3)
    assert "more than 8 bits" in read_clip(deep).notes[0]
    copy(deep, tmp_path / "deep.mp4")
    assert np.abs(pictures(tmp_path / "deep.mp4")[0] - pictures(deep)[0]).mean() < 0.01


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_film_gets_ordinary_colours(make_clip, tmp_path, transfer, name):
    path = make_clip(pix_fmt="yuv420p10le", matrix=9, transfer=transfer, count=2)
    assert f"is HDR ({name})" in read_clip(path).notes[0]
    copy(path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.color_trc, stream.colorspace, stream.pix_fmt) == (1, 1, "yuv420p")
    assert np.abs(pictures(tmp_path / "out.mp4")[0] - pictures(path)[0]).mean() < 0.02


@pytest.mark.parametrize("steady", [0, 100])
def test_interrupted_film_continues_after_its_last_segment(make_clip, tmp_path, monkeypatch, steady):
    monkeypatch.setattr(clip_writing, "SEGMENT_FRAMES", 16)
    path, settings = make_clip(count=40), FilmSettings(steady=steady)

    def paint(picture):
        pixels = picture.pixels.copy()
        pixels[..., :3] = 1 - pixels[..., :3] + np.random.default_rng(0).normal(0, 0.1, pixels[..., :3].shape)
        return pixels.clip(0, 1)

    copy(path, tmp_path / "whole.mp4", settings, paint)
    stopper, target = Stopper(), tmp_path / "out.mp4"

    def stop_at_35(number):
        if number == 35:
            stopper.stop()

    with pytest.raises(StoppedError):
        copy(path, target, settings, paint, after_each=stop_at_35, stopper=stopper)
    assert not target.exists()
    result = copy(path, target, settings, paint)
    assert (result.kept, result.painted) == (32, 8)
    assert packets(target, "video") == packets(tmp_path / "whole.mp4", "video")


def test_segments_of_another_painting_are_not_used(make_clip, tmp_path, monkeypatch):
    monkeypatch.setattr(clip_writing, "SEGMENT_FRAMES", 4)
    path, target, stopper = make_clip(), tmp_path / "out.mp4", Stopper()
    with pytest.raises(StoppedError):
        copy(path, target, after_each=lambda number: stopper.stop() if number > 9 else None, stopper=stopper)
    assert len(list(segments_folder(target).glob("*.nut"))) == 2
    assert copy(path, target, painting={"style": "other"}).kept == 0


def test_damaged_frames_are_counted_and_left_out(make_clip, tmp_path):
    path = make_clip("clip.avi", codec="mjpeg", pix_fmt="yuvj420p", range=2, count=12)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][6]
    content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(content)
    clip = read_clip(damaged)
    frames = ClipFrames(clip, EACH)
    paint_film(frames, ClipWriter(tmp_path / "out.mp4", clip, EACH, {}), lambda picture: picture.pixels, EACH)
    assert frames.damaged == 1 and len(times(tmp_path / "out.mp4")) == 11


def test_bad_films_are_refused_in_a_sentence(make_clip, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    with pytest.raises(StyleError, match="cannot be read as a film"):
        read_clip(text)
    with pytest.raises(StyleError, match="There is no film"):
        read_clip(tmp_path / "nothing.mp4")
    sound = tmp_path / "sound.mkv"
    with av.open(str(make_clip(sound="aac"))) as one, av.open(str(sound), "w") as other:
        stream = other.add_stream_from_template(one.streams.audio[0])
        for packet in one.demux(one.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                other.mux(packet)
    with pytest.raises(StyleError, match="no moving pictures"):
        read_clip(sound)


@pytest.mark.parametrize(
    "playlist", ["ffconcat version 1.0\nfile other.mp4\n", "#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"]
)
def test_playlist_cannot_have_other_files_read(make_clip, tmp_path, playlist):
    (tmp_path / "other.mp4").write_bytes(make_clip(count=2).read_bytes())
    (tmp_path / "list.mp4").write_text(playlist)
    with pytest.raises(StyleError, match="cannot be read as a film"):
        read_clip(tmp_path / "list.mp4")


def test_name_with_a_colon_is_no_protocol(make_clip, tmp_path):
    path = tmp_path / "concat:film.mp4"
    path.write_bytes(make_clip(count=2).read_bytes())
    assert read_clip(path).count == 2


def test_segments_that_others_could_have_laid_are_not_used(make_clip, tmp_path, monkeypatch):
    clip, target = make_clip(count=2), tmp_path / "out.mp4"
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    segments_folder(target).symlink_to(tmp_path / "kept")
    with pytest.raises(StyleError, match="not yours"):
        copy(clip, target)
    segments_folder(target).unlink()
    segments_folder(target).mkdir()
    with monkeypatch.context() as patched, pytest.raises(StyleError, match="not yours"):
        patched.setattr(clip_writing, "is_own", lambda folder: False)
        copy(clip, target)
    assert (tmp_path / "kept" / "file").exists()
    copy(clip, target)


def test_what_a_format_cannot_hold_is_said_before_the_work(make_clip, tmp_path):
    clip = read_clip(make_clip("clip.mkv", sound="pcm_s16le"))
    with pytest.raises(StyleError, match=r"cannot hold the sound .* name the output out.mkv"):
        ClipWriter(tmp_path / "out.webm", clip, EACH, {})
    with pytest.raises(StyleError, match="encoder h264_nvenc does not work here"):
        ClipWriter(tmp_path / "out.mp4", read_clip(make_clip()), FilmSettings(encoder="h264_nvenc"), {})
    with pytest.raises(StyleError, match="encoder nonsense does not work here"):
        ClipWriter(tmp_path / "out.mp4", read_clip(make_clip()), FilmSettings(encoder="nonsense"), {})
    assert not list(tmp_path.iterdir())
