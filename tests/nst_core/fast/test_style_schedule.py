import numpy as np

from nst_core.base.training_settings import TrainSettings, with_faithful_row
from nst_core.fast.style_schedule import row_mixtures, style_schedule


def test_all_styles_come_equally_often_in_changing_order():
    seen = [style_schedule(step, 4, 3, seed=1) for step in range(30)]
    assert [sum((part == n).sum() for part in seen) for n in range(3)] == [40, 40, 40]
    assert len({tuple(part) for part in seen}) > 3
    assert (style_schedule(7, 4, 3, seed=1) == seen[7]).all() and not (style_schedule(7, 4, 1, seed=1)).any()


def test_rows_take_turns_except_for_random_mixtures():
    settings = with_faithful_row(TrainSettings(batch=3, mixed_share=0.25, seed=5))
    shares = np.stack([row_mixtures(step, settings) for step in range(200)])
    assert shares.dtype == np.float32 and np.allclose(shares.sum(2), 1)
    first = shares[..., 0].ravel()
    mixed = (first > 0) & (first < 1)
    assert 0.2 < mixed.mean() < 0.3 and 0.4 < first[mixed].mean() < 0.6
    assert (first[~mixed] == (np.arange(600) % 2)[~mixed]).all()
    assert (row_mixtures(7, settings) == shares[7]).all()


def test_single_row_paints_everything():
    assert row_mixtures(3, TrainSettings(batch=2)).tolist() == [[1.0], [1.0]]
