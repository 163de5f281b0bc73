"""What a painting gains from the photo when it is enlarged."""

import numpy as np
import pytest

from plugin.engine.imaging import bands
from plugin.engine.imaging.detail import enlarge_painting
from plugin.engine.imaging.resampling import resample_picture

SIZE = 96


def clouds(seed: int, cell: int) -> np.ndarray:
    """Return random grey blots of about ``cell`` pixels: [SIZE, SIZE, 3] in 0..1."""
    grey = np.random.default_rng(seed).random((SIZE // cell, SIZE // cell, 1), np.float32)
    return resample_picture(grey, SIZE, SIZE).repeat(3, axis=2)


def half(picture: np.ndarray) -> np.ndarray:
    return resample_picture(picture, picture.shape[0] // 2, picture.shape[1] // 2)


def finest(picture: np.ndarray) -> np.ndarray:
    """Return the detail that a picture of half the size lacks, flattened."""
    return (picture - resample_picture(half(picture), *picture.shape[:2])).ravel()


@pytest.mark.parametrize("contrast", [0.6, -0.6])
def test_photo_edge_is_crisp_without_halo(contrast):
    photo = np.full((SIZE, SIZE, 3), 0.1, np.float32)
    photo[:, 45:] = 0.9
    seen = half(photo)
    painted = 0.5 + contrast * (seen - 0.5)
    out = enlarge_painting(painted, seen, photo)
    plain = resample_picture(painted, SIZE, SIZE)
    steepest, plainly = (np.abs(np.diff(picture, axis=1)).max() for picture in (out, plain))
    assert steepest > 1.5 * plainly
    assert out.min() >= painted.min() - 1e-6 and out.max() <= painted.max() + 1e-6


def test_detail_is_added_only_where_the_painting_follows_the_photo():
    photo = np.clip(clouds(1, 8) * 0.8 + 0.1 + np.random.default_rng(2).normal(0, 0.03, (SIZE, SIZE, 1)), 0, 1)
    photo = photo.astype(np.float32)
    seen = half(photo)
    following, free = 0.2 + 0.5 * seen, half(clouds(3, 8))
    gained = [np.corrcoef(finest(enlarge_painting(p, seen, photo)), finest(photo))[0, 1] for p in (following, free)]
    assert gained[0] > 0.7 and abs(gained[1]) < 0.3


def test_bands_leave_no_seams(monkeypatch):
    photo = np.random.default_rng(7).random((SIZE + 1, SIZE, 3), np.float32) * 0.4 + clouds(8, 8)[:1] * 0.6
    seen = resample_picture(photo, 61, SIZE // 2)
    painted = np.clip(0.8 * seen + 0.2 * clouds(9, 4)[:61, : SIZE // 2, ::-1], 0, 1)
    whole = seen, enlarge_painting(painted, seen, photo)
    monkeypatch.setattr(bands, "BAND_PIXELS", 10 * SIZE)
    in_bands = resample_picture(photo, 61, SIZE // 2), enlarge_painting(painted, seen, photo)
    for one, other in zip(whole, in_bands, strict=True):
        assert np.abs(one - other).max() < 1 / 255


def test_strokes_stay_on_a_flat_photo():
    photo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    painted = half(clouds(4, 8))
    plain = resample_picture(painted, SIZE, SIZE)
    out = enlarge_painting(painted, half(photo), photo)
    assert np.corrcoef(out.ravel(), plain.ravel())[0, 1] > 0.97 and out.std() >= plain.std()
    assert np.abs(np.diff(out, axis=1)).mean() > np.abs(np.diff(plain, axis=1)).mean()


def test_small_enlargement_changes_little():
    photo = clouds(5, 8)
    seen = resample_picture(photo, SIZE - 1, SIZE - 1)
    painted = 1 - seen
    assert np.abs(enlarge_painting(painted, seen, photo) - resample_picture(painted, SIZE, SIZE)).max() < 0.02


def test_grain_is_smoothed_and_edges_stay():
    photo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    step = np.zeros((SIZE // 2, SIZE // 2, 3), np.float32)
    step[:, 24:] = 0.4
    grain = np.random.default_rng(6).normal(0, 0.02, step.shape).astype(np.float32)
    clean, grainy = (enlarge_painting(0.3 + painted, half(photo), photo) for painted in (step, step + grain))
    assert (grainy - clean).std() < 0.5 * resample_picture(0.3 + grain, SIZE, SIZE).std()
    steepest, plainly = (
        np.abs(np.diff(p, axis=1)).max(1).mean() for p in (grainy, resample_picture(0.3 + step, SIZE, SIZE))
    )
    assert steepest > plainly
