"""Renders that a host keeps, and mixes with their photos again."""

import io

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.imaging import kept_render
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.kept_render import decode_render, encode_render, mix_render
from plugin.engine.imaging.picture import Picture


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_kept_render_has_eight_bits(noise):
    render = noise[..., :3]
    assert np.abs(decode_render(encode_render(render)) - render).max() <= 0.5001 / 255
    assert np.array_equal(decode_render(encode_render(np.full((3, 5, 3), 7.0))), np.ones((3, 5, 3)))


def test_large_render_is_not_kept(noise, monkeypatch):
    monkeypatch.setattr(kept_render, "MOST_RENDER_BYTES", 4000)
    assert encode_render(noise[..., :3]) == b"" != encode_render(np.zeros((50, 50, 3)))


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", png(Image.new("L", (4, 4))), png(Image.effect_noise((40, 40), 9).convert("RGB"))[:900]],
    ids=["empty", "text", "grey", "cut off"],
)
def test_damaged_render_is_refused_in_one_sentence(data):
    with pytest.raises(StyleError, match=r"is damaged; change the number of iterations"):
        decode_render(data)


def test_render_too_large_for_memory_is_refused(monkeypatch):
    monkeypatch.setattr(kept_render, "MAX_PIXELS", 100)
    with pytest.raises(StyleError, match="damaged"):
        decode_render(png(Image.new("RGB", (11, 10))))


def test_mixture_with_a_render_is_that_of_its_enlargement(noise):
    noise[..., 3] = 1
    render, blend = np.full((8, 12, 3), 0.25, np.float32), BlendSettings(60)
    mixed = mix_render(Picture(noise), render, blend).pixels
    expected = composite(Picture(noise), np.full_like(noise[..., :3], 0.25), blend)
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
