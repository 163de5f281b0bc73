from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.distill.student_renders import STEPS_PER_RENDER, StudentRenders
from nst_core.features.catalogue import load_features
from nst_core.pictures.photos import LEAST_CROP, Photos


def test_renders_start_as_photos_move_towards_the_style_and_are_replaced(slim_weights, photos_folder, settings):
    student, photos = load_features(str(slim_weights)), Photos(photos_folder, 48)
    settings = replace(settings, rendered=3, seed=5)
    renders = StudentRenders(photos, photos, settings, torch.device("cpu"))
    pictures = [renders.step(step, student) for step in range(1, STEPS_PER_RENDER + 2)]
    assert pictures[0].shape == (3, 3, 48, 48)
    assert min(picture.min() for picture in pictures) >= 0 and max(picture.max() for picture in pictures) <= 1
    first, second = (photos.batch(number, 3, 48, 6, LEAST_CROP) for number in (0, 1))
    moved = [(picture - first).abs().mean() for picture in pictures[:STEPS_PER_RENDER]]
    assert 0 < moved[0] < 0.021 and moved[-1] > 2 * moved[0]
    assert (pictures[STEPS_PER_RENDER] - second).abs().max() < 0.021
