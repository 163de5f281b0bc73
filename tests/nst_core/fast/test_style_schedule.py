from nst_core.fast.style_schedule import style_schedule


def test_all_styles_come_equally_often_in_changing_order():
    seen = [style_schedule(step, 4, 3, seed=1) for step in range(30)]
    assert [sum((part == n).sum() for part in seen) for n in range(3)] == [40, 40, 40]
    assert len({tuple(part) for part in seen}) > 3
    assert (style_schedule(7, 4, 3, seed=1) == seen[7]).all() and not (style_schedule(7, 4, 1, seed=1)).any()
