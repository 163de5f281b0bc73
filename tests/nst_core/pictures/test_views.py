import pytest

torch = pytest.importorskip("torch")

from nst_core.pictures.views import Tilt, View, random_tilt, random_view

PICTURE = torch.arange(2 * 3 * 20 * 30, dtype=torch.float32).view(2, 3, 20, 30)


def test_view_holds_the_whole_picture_moved_and_mirrored():
    seen = View(right=5, down=9).of(PICTURE)
    assert seen.shape == (2, 3, 36, 38) and torch.equal(seen[..., 9:29, 5:35], PICTURE)
    assert torch.equal(seen[..., 8, 5:35], PICTURE[..., 1, :])  # the reflection, the border not twice
    assert torch.equal(seen[..., 9:29, 35], PICTURE[..., -2])
    assert torch.equal(View(5, 9, mirrored=True).of(PICTURE), seen.flip(3))
    assert torch.equal(View().of(PICTURE), PICTURE)
    assert View(right=8, down=1).of(PICTURE).shape == (2, 3, 28, 38)


def test_random_views_are_uniform_and_depend_on_seed_and_step():
    views = [random_view(3, 7, step) for step in range(400)]
    assert {(view.right, view.down) for view in views} == {(x, y) for x in range(4) for y in range(4)}
    assert 160 < sum(view.mirrored for view in views) < 240
    assert views == [random_view(3, 7, step) for step in range(400)]
    assert views[:50] != [random_view(3, 8, step) for step in range(50)]
    assert random_view(0, 7, 1) == View()


def test_tilt_rotates_zooms_and_moves():
    assert torch.allclose(Tilt().of(PICTURE), PICTURE, atol=1e-2)
    moved = Tilt(right=3, down=2).of(PICTURE)
    assert moved.shape == PICTURE.shape and torch.allclose(moved[..., 2:, 3:], PICTURE[..., :-2, :-3], atol=1e-2)

    # The middle square of a picture turned clockwise, and the same moved afterwards.
    square, turned = PICTURE[..., 5:25], Tilt(angle=90).of(PICTURE)
    assert torch.allclose(turned[..., 5:25], square.rot90(-1, (2, 3)), atol=1e-2)
    assert torch.allclose(Tilt(angle=90, right=4).of(PICTURE)[..., 9:25], turned[..., 5:21], atol=1e-2)

    ramp = torch.linspace(-1, 1, 40).expand(1, 1, 40, 40)
    assert torch.allclose(Tilt(zoom=2).of(ramp), ramp / 2, atol=0.01)


def test_random_tilts_stay_in_their_bounds_and_repeat():
    tilts = [random_tilt(8, 1.2, 7, step) for step in range(400)]
    assert 7 < max(tilt.angle for tilt in tilts) < 8 and -8 < min(tilt.angle for tilt in tilts) < -7
    assert 1.15 < max(tilt.zoom for tilt in tilts) < 1.2 and 1 / 1.2 < min(tilt.zoom for tilt in tilts) < 1 / 1.15
    assert all(max(abs(tilt.right), abs(tilt.down)) < 2 for tilt in tilts)
    assert tilts == [random_tilt(8, 1.2, 7, step) for step in range(400)]
    still = random_tilt(0, 1, 7, 3)
    assert (still.angle, still.zoom) == (0, 1)
