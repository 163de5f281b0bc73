import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.features.catalogue import load_features
from nst_core.losses import metrics


def waves(height, width, period_x, period_y):
    """Make a pattern between -1 and 1, [3, height, width]."""
    y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    across, down = (torch.cos(2 * math.pi * v / period) for v, period in ((x, period_x), (y, period_y)))
    pattern = across[None, :] * down[:, None]
    return (pattern / pattern.abs().max()).expand(3, -1, -1)


@pytest.fixture
def photo(half_flat_photo):
    return half_flat_photo


def grain(photo, amount, seed=1):
    return amount * torch.randn(photo.shape, generator=torch.Generator().manual_seed(seed))


def strokes(photo, amount, seed=1):
    """Grain without what is finer than strokes."""
    scores = grain(photo, amount, seed)
    for _ in range(4):
        scores = 1.6 * torch.nn.functional.avg_pool2d(scores, 3, 1, 1)
    return scores


def halos(photo, width):
    """White along each side in turn, and along all of them."""
    frame = torch.ones_like(photo)
    frame[:, width:-width, width:-width] = 0
    sides = torch.zeros(4, *photo.shape)
    sides[0, :, :width] = sides[1, :, -width:] = sides[2, ..., :width] = sides[3, ..., -width:] = 1
    return [*sides, frame]


@pytest.mark.parametrize("change", [lambda p: 0 * p, lambda p: grain(p, 0.02), lambda p: strokes(p, 0.05)])
def test_strokes_and_grain_do_not_count_as_checkerboard(photo, change):
    assert metrics.checkerboard(photo + change(photo), photo) < 0.03
    assert metrics.checkerboard(torch.full_like(photo, 0.3), photo) == 0


@pytest.mark.parametrize("periods", [(2, 2), (2, 4), (4, 4), (4, math.inf), (math.inf, 2)])
def test_checkerboard_is_detected_among_strokes_and_grain(photo, periods):
    pattern = waves(128, 160, *periods) if 2 not in periods else signs(*periods)
    assert metrics.checkerboard(photo + 0.05 * pattern, photo) > 0.4
    assert metrics.checkerboard(photo + strokes(photo, 0.05) + 0.05 * pattern, photo) > 0.2
    weaker, stronger = (metrics.checkerboard(photo + a * pattern, photo) for a in (0.01, 0.02))
    assert 0.03 < weaker < stronger


def signs(period_x, period_y):
    """Squares or lines of -1 and 1, [3, 128, 160]."""
    across, down = (
        torch.ones(n) if math.isinf(p) else 1.0 - 2 * (torch.arange(n) // (p // 2) % 2)
        for n, p in ((160, period_x), (128, period_y))
    )
    return (across[None, :] * down[:, None]).expand(3, -1, -1)


def test_a_checkerboard_in_one_colour_counts_too(photo):
    pattern = 0.05 * signs(2, 2) * torch.tensor([1.0, 0.0, -0.6])[:, None, None]
    assert metrics.checkerboard(photo + pattern, photo) > 0.4


def test_mesh_has_a_gradient(photo):
    pattern = signs(2, 4)
    result = (photo + strokes(photo, 0.05) + 0.02 * pattern).requires_grad_()
    (gradient,) = torch.autograd.grad(metrics.mesh(result[None], photo[None], 0.5), result)
    more, less = (metrics.mesh((result + step * pattern)[None], photo[None], 0.5).item() for step in (1e-3, -1e-3))
    assert (gradient * pattern).sum().item() == pytest.approx((more - less) / 2e-3, rel=0.01)
    assert more > less


def test_each_picture_of_a_batch_has_its_own_mesh(photo):
    results = torch.stack([photo + strokes(photo, 0.05), photo.flip(2) + 0.02 * signs(2, 4)])
    photos = torch.stack([photo, photo.flip(2)])
    alone = [metrics.mesh(result[None], one[None], 0.5) for result, one in zip(results, photos, strict=True)]
    together = metrics.mesh(results, photos, 0.5)
    assert together[1] > 5 * together[0]
    torch.testing.assert_close(together, torch.cat(alone))


def test_only_flat_areas_count_for_the_checkerboard(photo):
    pattern = 0.05 * signs(2, 2)
    pattern[:, :72] = 0
    assert metrics.checkerboard(photo + pattern, photo) < 0.03


def test_border_is_low_without_a_halo(photo):
    assert metrics.border(photo, photo) == 0
    scores = [metrics.border(photo + strokes(photo, 0.1, seed), photo) for seed in range(12)]
    assert 0.8 < np.mean(np.square(scores)) ** 0.5 < 1.3


@pytest.mark.parametrize("width", [2, 4, 8])
def test_halo_is_detected_at_every_side(photo, width):
    styled = photo + strokes(photo, 0.05)
    clean = metrics.border(styled, photo)
    *sides, frame = halos(photo, width)
    for side in sides:
        assert metrics.border(styled + 0.1 * side, photo) > 1.5 * clean
    assert metrics.border(styled - 0.1 * frame, photo) > 2 * clean
    smooth = styled * (1 - frame) + styled.mean((1, 2), keepdim=True) * frame  # no strokes there
    assert metrics.border(smooth, photo) > 1.4 * clean


def test_frame_of_the_photo_is_not_a_halo(photo):
    framed = photo * (1 - halos(photo, 4)[-1])
    change = strokes(photo, 0.1)
    clean = metrics.border(photo + change, photo)
    assert metrics.border(framed + change, framed) == pytest.approx(clean, rel=0.4)  # kept
    assert metrics.border(photo + change, framed) == pytest.approx(clean, rel=0.4)  # painted over


def test_ssim_matches_wang_et_al(photo):
    a, b = metrics.luminance(photo), metrics.luminance(photo.flip(2))
    assert metrics.ssim(a, a) == pytest.approx(1)
    # Flat pictures leave the term of the means alone.
    flat = metrics.ssim(torch.full((20, 20), 0.4), torch.full((20, 20), 0.7))
    assert flat == pytest.approx((2 * 0.4 * 0.7 + 1e-4) / (0.4**2 + 0.7**2 + 1e-4), abs=1e-4)
    # One window, by the paper's formula (13) in double precision.
    x, y = (v[:11, :11].double().numpy() for v in (a, b))
    rows = np.arange(11) - 5
    w = np.exp(-(rows[:, None] ** 2 + rows**2) / 4.5)
    w /= w.sum()
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy, cov = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum(), (w * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert metrics.ssim(a[:11, :11], b[:11, :11]) == pytest.approx(expected, abs=1e-4)


def test_oklab_matches_ottosson():
    """White, and the values of pure red, green and blue that CSS Color 4 gives for the same formula."""
    colours = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    expected = [[1, 0, 0], [0.62796, 0.22486, 0.12585], [0.86644, -0.23389, 0.17950], [0.45201, -0.03246, -0.31153]]
    scores = metrics.oklab(colours.T[:, None])
    assert torch.allclose(scores[:, 0].T, torch.tensor(expected), atol=1e-4)


def test_colour_distance(photo):
    black, white = torch.zeros(3, 20, 30), torch.ones(3, 25, 10)
    assert metrics.colour_distance(black, white) == pytest.approx(1, abs=1e-4)
    assert metrics.colour_distance(photo, photo.flip(2)) == pytest.approx(0, abs=1e-6)  # places do not count
    small, large = (metrics.colour_distance(photo, photo * torch.tensor([[[s]], [[1.0]], [[1.0]]])) for s in (0.9, 0.5))
    assert 0.001 < small < large < 0.5
    # Colours count together: the channels of both pictures have the same values, but the one is grey.
    ramp = torch.linspace(0.2, 0.8, 64)
    grey, coloured = ramp.expand(3, 4, 64), torch.stack([ramp, ramp.flip(0), ramp]).view(3, 1, 64).expand(3, 4, 64)
    assert metrics.colour_distance(grey, coloured) > 0.05


@pytest.fixture
def comparison(slim_weights, photo):
    style = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    network = load_features(str(slim_weights))
    return metrics.PictureMetrics(network, photo[None], style, ("relu3_1",), ("relu1_1", "relu2_1")), style, network


def test_photo_scores_1_and_style_picture_0_for_style(comparison, photo):
    metrics_of, style, _ = comparison
    scores = metrics_of(photo[None])
    assert scores["content"] == pytest.approx(0, abs=1e-6) and scores["ssim"] == pytest.approx(1)
    assert scores["style_relu1_1"] == scores["style_relu2_1"] == pytest.approx(1)
    assert scores["colour_photo"] == pytest.approx(0, abs=1e-6) and scores["border"] == 0
    # The style picture itself, as a tile of its own texture; the border of the feature network makes it not quite 0.
    tiled = style.repeat(1, 1, 2, 3)[..., :128, :160]
    scores = metrics_of(tiled)
    assert scores["style_relu1_1"] < 0.1 and scores["style_relu2_1"] < 0.2
    assert scores["colour_style"] < 0.02 < scores["colour_photo"] and scores["ssim"] < 0.3 < scores["content"]


def test_distances_match_the_features(comparison, photo):
    metrics_of, style, network = comparison
    result = (photo[None] + 0.1 * style.repeat(1, 1, 2, 3)[..., :128, :160]).clamp(0, 1)
    f, p, s = (
        {layer: value[0].flatten(1).double().numpy() for layer, value in network(x, ["relu1_1", "relu3_1"]).items()}
        for x in (result, photo[None], style)
    )
    g, b, a = (x["relu1_1"] @ x["relu1_1"].T / x["relu1_1"].shape[1] for x in (f, p, s))
    scores = metrics_of(result)
    assert scores["style_relu1_1"] == pytest.approx(np.linalg.norm(g - a) / np.linalg.norm(b - a), rel=1e-4)
    content = np.linalg.norm(f["relu3_1"] - p["relu3_1"]) / np.linalg.norm(p["relu3_1"])
    assert scores["content"] == pytest.approx(content, rel=1e-4)


def test_small_pictures_have_fewer_metrics(photo):
    assert set(metrics.appearance(photo[:, :47], photo[:, :47])) == {"ssim"}
    assert metrics.appearance(photo[:, :10], photo[:, :10]) == {}


def test_local_patterns_of_the_style_itself_are_all_found_and_used():
    features = torch.rand(1, 4, 8, 9, generator=torch.Generator().manual_seed(0))
    similarity, used = metrics.local_patterns(features, features)
    assert similarity == pytest.approx(1, abs=1e-5) and used == 1
    flat = features[..., :3, :3].repeat(1, 1, 3, 3)
    similarity, used = metrics.local_patterns(flat, features)
    assert similarity < 1 and used < 0.3
