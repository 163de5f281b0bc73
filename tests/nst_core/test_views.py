import pytest

torch = pytest.importorskip("torch")

from nst_core.views import View, random_view  # noqa: E402

PICTURE = torch.arange(2 * 3 * 20 * 30, dtype=torch.float32).view(2, 3, 20, 30)


def test_a_view_holds_the_whole_picture_moved_and_mirrored():
    seen = View(right=5, down=3).of(PICTURE)
    assert seen.shape == (2, 3, 23, 35) and torch.equal(seen[..., 3:, 5:], PICTURE)
    assert torch.equal(seen[..., 2, 5:], PICTURE[..., 1, :])  # the reflection, the border not twice
    assert torch.equal(View(5, 3, mirrored=True).of(PICTURE), seen.flip(3))
    assert torch.equal(View().of(PICTURE), PICTURE)


def test_random_views_are_drawn_evenly_and_repeat():
    views = [random_view(3, 7, step) for step in range(400)]
    assert {(view.right, view.down) for view in views} == {(x, y) for x in range(4) for y in range(4)}
    assert 160 < sum(view.mirrored for view in views) < 240
    assert views == [random_view(3, 7, step) for step in range(400)]
    assert views[:50] != [random_view(3, 8, step) for step in range(50)]
    assert random_view(0, 7, 1) == View()
