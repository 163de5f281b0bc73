"""The preview and the estimated time, in a real GIMP without the dialog."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from plugin.engine.fast.fast_settings import WORKING_PIXELS
from plugin.engine.imaging.resampling import resample_picture
from tests.conftest import SAMPLES
from tests.host.checks import pixels, require_torch
from tests.host.gimp import Session


@pytest.fixture(scope="module")
def layer(session) -> int:
    """A layer with more pixels than the network sees: the sample photos side by side, each with its mirror images."""
    photos = []
    for name in ("chelsea.jpg", "coffee.jpg", "rocket.jpg"):
        with Image.open(SAMPLES / name) as photo:
            opened = np.array(photo.convert("RGBA").resize((600, 400), Image.Resampling.LANCZOS))
        photos.append(np.concatenate([opened, opened[::-1], opened[:, ::-1]]))
    return session.call("new_image", pixels=np.concatenate(photos, axis=1).astype(np.float32) / 255)[1]


@pytest.fixture
def similarity():
    """A function that returns the structural similarity of two pictures, [H, W, C]."""
    torch = pytest.importorskip("torch")
    from nst_core.losses.metrics import luminance, ssim

    def compare(*pictures: np.ndarray) -> float:
        return ssim(*(luminance(torch.tensor(picture[..., :3]).permute(2, 0, 1)) for picture in pictures))

    return compare


@pytest.mark.parametrize(
    ("style", "stroke_size"), [("great-wave", 100), ("starry-night", 100), ("udnie", 100), ("starry-night", 200)]
)
def test_preview_matches_the_painting(session, layer, similarity, style, stroke_size):
    *before, last = session.call("preview", layer=layer, styles=[style], stroke_size=stroke_size)
    # A sketch comes first if the painting takes longer.
    assert [shown["sketch"] for shown in before] == ([True] if stroke_size == 100 else []) and not last["sketch"]
    painted = paint(session, layer, style=style, stroke_size=stroke_size)
    assert painted.shape[0] * painted.shape[1] > 3 * WORKING_PIXELS
    reduced = resample_picture(painted, *last["rgb"].shape[:2])
    assert similarity(last["rgb"], reduced) >= 0.9
    assert all(similarity(shown["rgb"], reduced) < 0.9 for shown in before)


def test_full_resolution_preview_matches_that_part_of_the_painting(session, layer, similarity):
    x, y = 700, 300
    (shown,) = session.call("preview", layer=layer, styles=["udnie"], corner=(x, y))
    height, width = shown["rgb"].shape[:2]
    painted, relative = (
        paint(session, layer, style="udnie", full_resolution=full)[y : y + height, x : x + width]
        for full in (True, False)
    )
    assert similarity(shown["rgb"], painted) >= 0.9 > similarity(shown["rgb"], relative)


def test_only_the_last_of_many_requests_is_painted(session, layer):
    shown = session.call("preview", layer=layer, styles=["udnie", "great-wave", "la-muse", "starry-night"])
    assert [painting["styles"] for painting in shown] == [["starry-night"]] * 2


def test_only_the_last_estimate_request_is_answered(session, slim_weights):
    require_torch()
    ((seconds, network, trouble),) = session.call(
        "estimate", shape=(30, 40), sizes=[2048, 1024, 64], features=str(slim_weights)
    )
    assert 0 < seconds < 60 and network == "slim" and not trouble
    ((_, _, trouble),) = session.call("estimate", shape=(30, 40), sizes=[64], features="/no/weights.safetensors")
    assert "/no/weights.safetensors" in trouble


def paint(session: Session, layer: int, **settings: object) -> np.ndarray:
    """Return the filter's painting of the layer, which does not stay in the image."""
    image = session.call("describe_layer", layer=layer)["image"]
    result = session.call("run", image=image, drawables=[layer], **settings)
    assert result["status"] == "success", result["message"]
    painted = pixels(session, result["layer"])
    session.call("remove", layer=result["layer"])
    return painted
