from dataclasses import replace

import numpy as np
import pytest

from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.messages import (
    Area,
    FastRequest,
    LayerView,
    Masks,
    PicturePath,
    PreviewRequest,
    RawPicture,
    RegionsRequest,
)
from plugin.engine.progress import Stopper
from plugin.engine.regions.region_requests import SizedMasks
from plugin.engine.service import LocalEngine

HEIGHT, WIDTH = 60, 90
LEFT = np.zeros((HEIGHT, WIDTH), np.uint8)
LEFT[:, :40] = 255
TOP = np.zeros((HEIGHT, WIDTH), np.uint8)
TOP[:20] = 255


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("plugin.engine.instant.style_measurement.STYLE_PIXELS", 160**2)
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))


def choice(name):
    return tuple(find_styles(name).items())


@pytest.fixture
def raw():
    data = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return RawPicture(WIDTH, HEIGHT, 3, data.tobytes(), eight_bits=True)


def values(picture):
    return np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, -1)[..., :3]


def test_regions_are_painted_by_their_masks(raw, samples):
    masks = Masks(WIDTH, HEIGHT, (LEFT.tobytes(),))
    path = samples / "rocket.jpg"
    rocket = PicturePath(str(path), path.stat().st_mtime_ns)
    request = RegionsRequest((choice("udnie"),), rocket, InstantSettings())
    (painted,) = LocalEngine().paint([replace(raw, masks=masks)], request)
    (udnie,) = LocalEngine().paint([raw], FastRequest(find_styles("udnie"), FastSettings()))
    assert np.array_equal(values(painted.picture)[:, :40], values(udnie.picture)[:, :40])
    assert not np.array_equal(values(painted.picture)[:, 40:], values(udnie.picture)[:, 40:])


def test_protected_part_takes_less_in_every_way_of_painting(raw):
    masks = Masks(WIDTH, HEIGHT, protected=LEFT.tobytes(), protected_strength=0)
    styles = find_styles("udnie")
    whole, *protected = (
        LocalEngine().paint([picture], request)[0].picture
        for picture, request in (
            (raw, FastRequest(styles, FastSettings())),
            (replace(raw, masks=masks), FastRequest(styles, FastSettings())),
            (replace(raw, masks=masks), RegionsRequest((), choice("udnie"), InstantSettings())),
        )
    )
    for painting in map(values, protected):
        assert np.array_equal(painting[:, :40], values(raw)[:, :40])
        assert np.array_equal(painting[:, 40:], values(whole)[:, 40:])


def test_preview_shows_regions_and_protection_as_the_result_has_them(raw):
    masks = Masks(
        WIDTH,
        HEIGHT,
        (LEFT.tobytes(),),
        protected=np.flipud(LEFT.T.reshape(-1)[: LEFT.size].reshape(LEFT.shape)).tobytes(),
    )
    settings = FastSettings()
    request = RegionsRequest((choice("udnie"),), choice("great-wave"), InstantSettings(fast=settings))
    (painted,) = LocalEngine().paint([replace(raw, masks=masks)], request)
    engine = LocalEngine()
    opened = engine.open_layer(raw, grey=False)
    preview = PreviewRequest(choice("great-wave"), 100.0, masks=masks, regions=(choice("udnie"),))
    result = engine.preview(opened.number, preview, False, Stopper())
    view = LayerView(Area(0, 0, WIDTH, HEIGHT), WIDTH, HEIGHT)
    shown = np.frombuffer(engine.mix_preview(opened.number, result.number, view, BlendSettings()), np.uint8)
    difference = np.abs(shown.reshape(HEIGHT, WIDTH, 3).astype(int) - values(painted.picture))
    assert difference.max() <= 2


def test_masks_of_a_part_are_cut_out_and_the_feather_is_scaled(raw):
    masks = SizedMasks(
        Masks(WIDTH, HEIGHT, (LEFT.tobytes(),), feather=10), (30, 30), WIDTH, Area(1 / 3, 0.5, 1 / 3, 0.5)
    )
    (mask,) = masks.regions
    assert mask.shape == (30, 30) and masks.feather == 10
    assert (mask[:, :9] == 1).all() and not mask[:, 11:].any()
    assert SizedMasks(Masks(WIDTH, HEIGHT, feather=10), (30, 45), WIDTH).feather == 5


def test_same_style_is_painted_like_the_plain_request(raw):
    masks = Masks(WIDTH, HEIGHT, (LEFT.tobytes(),))
    (painted,) = LocalEngine().paint(
        [replace(raw, masks=masks)], RegionsRequest((choice("udnie"),), choice("udnie"), InstantSettings())
    )
    (plain,) = LocalEngine().paint([raw], FastRequest(find_styles("udnie"), FastSettings()))
    assert np.array_equal(values(painted.picture), values(plain.picture))
