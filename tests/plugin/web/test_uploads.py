import io

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.web import uploads
from plugin.web.uploads import PaintedUpload, UploadSettings, paint_upload, read_upload, render_upload

WAVE = UploadSettings(style="great-wave")


def test_photo_is_painted_for_the_page_and_for_download(sample):
    painted = paint_upload(sample, WAVE)
    with Image.open(sample) as photo, Image.open(io.BytesIO(painted.file)) as file:
        assert painted.suffix == ".jpg" and file.format == "JPEG" and file.size == photo.size
    assert painted.before.shape == painted.after.shape
    assert np.abs(painted.before.astype(int) - painted.after).mean() > 20


def test_large_photo_is_shown_small_and_downloaded_whole(sample, tmp_path):
    with Image.open(sample) as photo:
        photo.resize((1600, 1000)).save(tmp_path / "large.jpg")
    painted = paint_upload(tmp_path / "large.jpg", WAVE)
    assert painted.after.shape == (800, 1280, 3)
    assert Image.open(io.BytesIO(painted.file)).size == (1600, 1000)


def test_transparency_is_kept_in_the_download_and_white_on_the_page(tmp_path):
    pixels = np.full((60, 80, 4), 90, np.uint8)
    pixels[:30, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    painted = paint_upload(tmp_path / "cut.png", WAVE)
    with Image.open(io.BytesIO(painted.file)) as file:
        assert painted.suffix == ".png" and (np.asarray(file)[..., 3] == pixels[..., 3]).all()
    assert (painted.after[:30] == 255).all()


def test_style_of_a_visitors_own_picture_is_taken(sample, samples):
    small = UploadSettings(style_picture=samples / "rocket.jpg")
    assert np.abs(paint_upload(sample, small).after.astype(int) - paint_upload(sample, WAVE).after).mean() > 10
    with pytest.raises(StyleError, match="upload a picture whose style"):
        paint_upload(sample, UploadSettings())


def test_bad_uploads_are_refused_without_their_names(tmp_path, sample):
    (tmp_path / "secret.jpg").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes(sample.read_bytes()[:9000])
    Image.new("1", (6000, 5000)).save(tmp_path / "large.png")
    refusals = {
        "gone.jpg": "has been deleted",
        "secret.jpg": "cannot be read",
        "cut.jpg": "cut off",
        "large.png": "30 megapixels",
    }
    for name, words in refusals.items():
        with pytest.raises(StyleError, match=words) as error:
            read_upload(tmp_path / name)
        assert name not in str(error.value)


def test_render_develops_and_stops_when_the_visitor_leaves(sample, samples, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(uploads, "RENDER_SIZE", 64)
    steps = render_upload(sample, UploadSettings(style_picture=samples / "rocket.jpg"))
    fraction, developing = next(steps)
    assert 0 < fraction < 1 and developing.dtype == np.uint8 and max(developing.shape) <= 64
    steps.close()
    last = list(render_upload(sample, UploadSettings(style_picture=samples / "rocket.jpg")))[-1]
    assert isinstance(last, PaintedUpload) and Image.open(io.BytesIO(last.file)).size == Image.open(sample).size


def test_render_needs_the_painting_itself(sample):
    with pytest.raises(StyleError, match="needs the painting itself"):
        next(render_upload(sample, WAVE))
