from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings  # noqa: E402
from nst_core.base.objective_settings import ObjectiveSettings  # noqa: E402
from nst_core.features.catalogue import load_features  # noqa: E402
from nst_core.features.network import CombinedNetwork, vgg  # noqa: E402
from nst_core.iterative import render as optimize  # noqa: E402
from nst_core.iterative.render import ADAM_BETAS, _optimizer, first_picture, render, stages  # noqa: E402
from nst_core.pictures.resize import resized  # noqa: E402


@pytest.fixture
def network(slim_weights):
    return load_features(str(slim_weights))


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), (48, 64), mode="bilinear")
    return photo, torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=generator), (40, 40))


@pytest.mark.parametrize("style_loss", ["gram", "w2"])
@pytest.mark.parametrize(("optimizer", "learning_rate"), [("lbfgs", 1.0), ("adam", 0.01), ("sgd", 0.02)])
def test_the_loss_falls_and_every_iteration_is_reported(network, pictures, optimizer, learning_rate, style_loss):
    seen = []
    objective = ObjectiveSettings(style_loss=style_loss)
    settings = replace(
        PLAIN_SETTINGS,
        objective=objective,
        size=64,
        optimizer=optimizer,
        iterations=25,
        learning_rate=learning_rate,
        shift=0,
    )
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    assert [p.iteration for p in seen] == list(range(1, 26)) and done is seen[-1]
    assert done.losses["total"] < 0.7 * seen[0].losses["total"]
    assert seen[0].losses["content"] == pytest.approx(0, abs=1e-6)  # it starts from the photo
    assert done.image.shape == (1, 3, 48, 64) and done.image.min() >= 0 and done.image.max() <= 1


def test_stop_keeps_what_there_is_and_the_inputs_stay(network, pictures):
    before = [p.clone() for p in pictures]
    done = render(*pictures, network, replace(PLAIN_SETTINGS, size=64, iterations=50), lambda p: p.iteration < 3)
    assert done.iteration == 3
    assert not torch.equal(done.image, pictures[0])
    assert all(torch.equal(a, b) for a, b in zip(before, pictures, strict=True))


def test_it_starts_from_another_picture_if_one_is_given(network, pictures):
    earlier = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    before = earlier.clone()
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="lbfgs", iterations=1)
    first = render(*pictures, network, settings, lambda p: True, initial=earlier)
    # One cautious step of L-BFGS leads nowhere near the photo.
    scaled = torch.nn.functional.interpolate(earlier, (48, 64), mode="bicubic", antialias=True).clamp(0, 1)
    assert first.image.shape == scaled.shape
    assert (first.image - scaled).square().mean() < 0.2 * (first.image - pictures[0]).square().mean()
    assert first.losses["content"] > 0.01  # the content is still the photo's
    assert torch.equal(earlier, before)


def test_starts(network, pictures):
    """One step of a length of nothing leaves them as they are."""
    made = {}
    for start in ("content", "noise", "style"):
        settings = replace(
            PLAIN_SETTINGS, size=64, optimizer="adam", iterations=1, learning_rate=1e-9, shift=0, start=start
        )
        made[start] = render(*pictures, network, settings, lambda p: True).image
    assert torch.allclose(made["content"], pictures[0], atol=1e-6)
    assert torch.allclose(made["style"], resized(pictures[1], 48, 64), atol=1e-6)
    assert made["noise"].std() == pytest.approx(12**-0.5, rel=0.05)  # uniform in 0..1
    assert made["noise"].mean() == pytest.approx(0.5, abs=0.02)
    faint = first_picture(*pictures, replace(PLAIN_SETTINGS, start="noise", noise=0.1))
    assert faint.std() == pytest.approx(0.1 * 12**-0.5, rel=0.05) and faint.mean() == pytest.approx(0.5, abs=0.002)


def test_sizes_grow_by_the_root_of_two(network):
    settings = replace(PLAIN_SETTINGS, size=512, coarsest=128, optimizer="sgd", iterations=10, first_iterations=20)
    found = stages(network, settings, 400, 600)
    assert [(one.size, one.first, one.last) for one in found] == [
        (128, 1, 20),
        (181, 21, 30),
        (256, 31, 40),
        (362, 41, 50),
        (512, 51, 60),
    ]
    assert {one.optimizer for one in found} == {"sgd"}
    assert [one.size for one in stages(network, settings, 75, 600)] == [256, 362, 512]  # 22 pixels are too few
    alone = replace(settings, first_iterations=0, coarsest=0)
    assert [one.size for one in stages(network, alone, 400, 600)] == [512]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "sgd"])
def test_from_coarse_to_fine(network, pictures, optimizer):
    seen = []
    settings = replace(
        PLAIN_SETTINGS, size=64, coarsest=45, optimizer=optimizer, iterations=6, first_iterations=8, shift=2
    )
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    assert [p.iteration for p in seen] == list(range(1, 15)) and {p.iterations for p in seen} == {14}
    assert [tuple(p.image.shape[-2:]) for p in seen] == 8 * [(34, 45)] + 6 * [(48, 64)]
    # The second size begins with what the first one made, not with the photo.
    carried = resized(seen[7].image, 48, 64)
    assert (seen[8].image - carried).abs().mean() < 0.7 * (seen[8].image - pictures[0]).abs().mean()
    assert done.image.shape == pictures[0].shape


def test_the_last_size_may_have_steps_of_its_own(network):
    def steps(settings):
        return [(one.first, one.last) for one in stages(network, settings, 512, 512)]

    settings = replace(PLAIN_SETTINGS, size=512, coarsest=256, optimizer="adam", iterations=30, smaller_iterations=7)
    assert steps(settings) == [(1, 7), (8, 14), (15, 44)]
    first = replace(settings, first_iterations=3)
    assert steps(first) == [(1, 3), (4, 10), (11, 40)]
    # There is no smaller size than the coarsest.
    assert steps(replace(first, coarsest=600)) == [(1, 30)]


def test_auto_leaves_the_end_to_adam(network, pictures):
    """With distilled features; and Adam begins there with its whole learning rate."""
    settings = replace(
        PLAIN_SETTINGS, size=64, coarsest=45, iterations=3, first_iterations=2, learning_rate=1e-3, shift=0
    )
    seen = {}
    for optimizer in ("auto", "lbfgs"):
        steps = seen[optimizer] = []
        render(
            *pictures, network, replace(settings, optimizer=optimizer), lambda p, steps=steps: steps.append(p) or True
        )
    for auto, lbfgs in zip(seen["auto"][:3], seen["lbfgs"][:3], strict=True):
        assert torch.equal(auto.image, lbfgs.image)
    moved = (seen["auto"][3].image - seen["auto"][2].image).abs()
    # Adam's first step is as long for every pixel.
    assert moved.median().item() == pytest.approx(1e-3, rel=1e-3) and moved.max() < 1.01e-3


def test_bfloat16_computes_nearly_the_same(network, pictures, monkeypatch):
    seen = {}
    for precision in ("float32", "bfloat16", "auto"):
        settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=1, shift=0, precision=precision)
        monkeypatch.setattr(optimize, "computes_in_bfloat16", lambda device: True)
        seen[precision] = render(*pictures, network, settings, lambda p: True)
    exact, rough = seen["float32"], seen["bfloat16"]
    assert torch.equal(rough.image, seen["auto"].image) and not torch.equal(rough.image, exact.image)
    assert rough.image.dtype == torch.float32
    assert rough.losses["total"] == pytest.approx(exact.losses["total"], rel=0.03)  # of the same picture
    monkeypatch.setattr(optimize, "computes_in_bfloat16", lambda device: False)
    assert torch.equal(render(*pictures, network, settings, lambda p: True).image, exact.image)


def test_adam_goes_on_at_the_next_size_with_its_moments():
    """Those of a smooth picture are those that it would have had at the larger size."""
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 24, 32)
    optimizers = []
    for height, width in ((24, 32), (48, 64)):
        image = resized(ramp, height, width).clone().requires_grad_(True)
        optimizer = torch.optim.Adam([image], 1e-9, betas=ADAM_BETAS)
        for _ in range(3):
            optimizer.zero_grad()
            image.square().mean().backward()
            optimizer.step()
        optimizers.append((optimizer, image))
    (small, _), (large, image) = optimizers
    carried = _optimizer("adam", image, IterativeSettings(), small).state_dict()["state"][0]
    expected = large.state_dict()["state"][0]
    assert carried["step"] == 3
    for name in ("exp_avg", "exp_avg_sq"):
        inside = (..., slice(None), slice(4, -4))
        torch.testing.assert_close(carried[name][inside], expected[name][inside], rtol=0.2, atol=0)


def test_the_result_is_the_average_of_the_pictures(network, pictures):
    runs = {}
    for decay in (0.0, 0.6):
        seen = []
        settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=4, average=decay, shift=0)
        render(*pictures, network, settings, lambda p, seen=seen: seen.append(p.image) or True)
        runs[decay] = torch.stack(seen)
    weights = torch.tensor([0.6**3, 0.6**2, 0.6, 1.0])
    expected = (runs[0.0] * (weights / weights.sum()).view(4, 1, 1, 1, 1)).sum(0)
    torch.testing.assert_close(runs[0.6][-1], expected)
    torch.testing.assert_close(runs[0.6][0], runs[0.0][0])  # the first is no darker


def test_a_loss_that_is_no_number_ends_it_with_the_last_good_picture(network, pictures, monkeypatch):
    forward, calls = type(network).forward, 0
    seen, settings = [], replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=9, shift=0)

    def spoiled(self, image, *others):
        nonlocal calls
        calls += image.requires_grad
        found = forward(self, image, *others)
        return {name: value * float("nan") for name, value in found.items()} if calls >= first_bad else found

    monkeypatch.setattr(type(network), "forward", spoiled)
    first_bad = 6
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    # The loss of the sixth step is that of the fifth's picture, so the fourth's is the last one known to be good.
    assert len(seen) == 5 and done.iteration == 4 and torch.equal(done.image, seen[3].image)
    assert "the loss of iteration 6 is not a number" in done.note and "picture of iteration 4" in done.note
    calls, first_bad = 0, 1
    with pytest.raises(StyleError, match="Nothing can be painted"):
        render(*pictures, network, settings, lambda p: True)


@pytest.mark.parametrize("shape", [(1, 1), (3000, 1), (1, 2)])
def test_tiny_photos_and_narrow_ones(network, pictures, shape):
    photo = torch.rand(1, 3, *shape)
    if max(shape) > 2:
        with pytest.raises(StyleError, match="less narrow photo"):
            render(photo, pictures[1], network, replace(PLAIN_SETTINGS, size=64), lambda p: True)
    else:
        done = render(photo, pictures[1], network, replace(PLAIN_SETTINGS, size=64, iterations=2), lambda p: True)
        assert done.image.isfinite().all() and max(done.image.shape) == 64


def test_a_strip_of_3000_by_20_is_painted_where_it_is_high_enough(network, pictures):
    photo = torch.rand(1, 3, 20, 3000, generator=torch.Generator().manual_seed(3))
    done = render(
        photo, pictures[1], network, replace(PLAIN_SETTINGS, size=4800, coarsest=128, iterations=1), lambda p: True
    )
    assert done.image.shape == (1, 3, 32, 4800) and done.iterations == 1  # no smaller size would do


def test_adam_never_sees_the_picture_in_the_same_place_twice(network, pictures, monkeypatch):
    """The photo moves along with it, so that a picture that still is the photo has no content loss in any view."""
    seen, forward = [], type(network).forward

    def spy(self, image, *others):
        if image.requires_grad:
            seen.append((*image.shape[-2:], *image[0, 0, 0, :8].tolist()))
        return forward(self, image, *others)

    monkeypatch.setattr(type(network), "forward", spy)
    losses = []
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=12, learning_rate=1e-9, shift=7)
    again = [render(*pictures, network, settings, lambda p: losses.append(p.losses) or True).image for _ in range(2)]
    assert torch.equal(*again)
    assert len(set(seen[:12])) > 6 and {view[:2] for view in seen} <= {(h, w) for h in (48, 56) for w in (64, 72)}
    assert all(found["content"] < 1e-6 for found in losses) and len({found["style"] for found in losses[:12]}) > 6


def test_the_optimiser_fits_the_features(slim_weights):
    """Those of heads are predictions; a network's own are not, and its first layers vouch for a mixture."""
    slim, plain = load_features(str(slim_weights)), vgg("plain", vgg_state(), "vgg19")
    mixtures = CombinedNetwork([plain, slim]), CombinedNetwork([slim, plain])
    settings = replace(PLAIN_SETTINGS, size=64, coarsest=45, iterations=9, smaller_iterations=2)

    def chosen(network, settings):
        return [(one.size, one.first, one.last, one.optimizer) for one in stages(network, settings, 64, 64)]

    of_its_own = [(45, 1, 2, "lbfgs"), (64, 3, 11, "lbfgs")]
    distilled = [(45, 1, 2, "lbfgs"), (64, 3, 5, "lbfgs"), (64, 6, 11, "adam")]
    found = [chosen(network, settings) for network in (slim, plain, *mixtures)]
    assert found == [distilled, of_its_own, of_its_own, distilled]
    assert chosen(slim, replace(settings, optimizer="lbfgs")) == of_its_own
    assert {name for *_, name in chosen(slim, replace(settings, optimizer="adam"))} == {"adam"}
    assert chosen(slim, replace(PLAIN_SETTINGS, size=64, iterations=1)) == [(64, 1, 1, "lbfgs")]


def vgg_state():
    return {"features.0.weight": torch.rand(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}


def test_size_is_the_longer_side(network, pictures):
    done = render(*pictures, network, replace(PLAIN_SETTINGS, size=80, iterations=1), lambda p: True)
    assert done.image.shape[-2:] == (60, 80)


def test_bad_settings_are_refused(network, pictures):
    with pytest.raises(StyleError, match="auto, lbfgs, adam, sgd"):
        render(*pictures, network, replace(PLAIN_SETTINGS, size=64, optimizer="newton"), lambda p: True)
    with pytest.raises(StyleError, match="64x2 pixels"):
        render(torch.rand(1, 3, 10, 300), pictures[1], network, replace(PLAIN_SETTINGS, size=64), lambda p: True)


def test_style_pictures_without_style_are_refused(network, pictures):
    settings = replace(PLAIN_SETTINGS, size=64, iterations=1)
    with pytest.raises(StyleError, match="style picture is 554x6 pixels"):
        render(pictures[0], torch.rand(1, 3, 8, 800), network, settings, lambda p: True)
    with pytest.raises(StyleError, match="all of one colour"):
        render(pictures[0], torch.full((1, 3, 50, 50), 0.3), network, settings, lambda p: True)


def test_it_looks_like_both(assets, read_photo):
    """On real features: most of the style's distance goes while the photo stays recognisable."""
    network = load_features(str(assets / "weights/vgg19_distilled16x_conv5_1.safetensors"))
    photo, style = (read_photo(assets / name, 256) for name in ("photos/eval/tubingen.jpg", "styles/starry_night.jpg"))
    seen = []
    render(
        photo,
        style,
        network,
        replace(PLAIN_SETTINGS, objective=ObjectiveSettings(), size=160, optimizer="lbfgs", iterations=40),
        lambda p: seen.append(p) or True,
    )
    assert seen[-1].losses["style"] < 0.25 * seen[0].losses["style"]
    assert seen[-1].losses["content"] < 0.3  # 0.3 would be no content at all


RESUMED = {
    "lbfgs": {"optimizer": "lbfgs", "precondition": 1.0, "precision": "bfloat16"},
    "adam": {"optimizer": "adam", "average": 0.9, "shift": 5, "start": "noise"},
    "sgd": {"optimizer": "sgd"},
    "L-BFGS, then Adam": {"optimizer": "auto", "precondition": 1.0, "shift": 5},
}


@pytest.mark.parametrize("stop", [2, 6, 8, 9])
@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_render_is_an_uninterrupted_one_to_the_bit(network, pictures, tmp_path, name, stop):
    """Stopped by the caller within the first size, at its end, and where Adam takes over within the second."""
    settings = replace(PLAIN_SETTINGS, size=64, coarsest=45, iterations=6, **RESUMED[name])
    whole, seen = render(*pictures, network, settings, lambda p: True), []
    path = tmp_path / "a.checkpoint"
    render(*pictures, network, settings, lambda p: p.iteration < stop, None, path, 100)
    assert path.exists()
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True, None, path, 100)
    assert [p.iteration for p in seen] == list(range(stop + 1, 13))
    assert torch.equal(done.image, whole.image) and done.losses == whole.losses


def test_checkpoints_come_every_so_many_iterations(network, pictures, tmp_path):
    path, found = tmp_path / "a.checkpoint", []
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=7)

    def progress(step):
        # Those of the steps before this one.
        found.append(torch.load(path, weights_only=True)["iteration"] if path.exists() else 0)
        return True

    render(*pictures, network, settings, progress, None, path, 3)
    assert found == [0, 0, 0, 3, 3, 3, 6]
    assert [one.name for one in tmp_path.iterdir()] == ["a.checkpoint"]


def test_a_checkpoint_of_another_render_is_refused(network, pictures, tmp_path):
    path = tmp_path / "a.checkpoint"
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=4)
    render(*pictures, network, settings, lambda p: False, None, path)
    other = replace(settings, seed=3, objective=replace(settings.objective, tv_weight=0.5))
    with pytest.raises(StyleError, match=r"whose tv_weight \(0.3 there, 0.5 here\), seed \(0 there, 3 here\) differ;"):
        render(*pictures, network, other, lambda p: True, None, path)
    with pytest.raises(StyleError, match="whose style picture differs;"):
        render(pictures[0], pictures[1].flip(3), network, settings, lambda p: True, None, path)
    with pytest.raises(StyleError, match="whose picture to start from differs;"):
        render(*pictures, network, settings, lambda p: True, pictures[1], path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(StyleError, match="not a checkpoint of a render"):
        render(*pictures, network, settings, lambda p: True, None, path)


def test_a_full_disk_is_one_sentence(network, pictures, tmp_path, full_disk):
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=4)
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        render(*pictures, network, settings, lambda p: True, None, tmp_path / "a.checkpoint", 1)
    assert not list(tmp_path.iterdir())
