from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.iterative.render import RenderOptions, render
from nst_core.iterative.stages import checkpoint_bytes

RESUMED = {
    "lbfgs": {"optimizer": "lbfgs", "precondition": 1.0, "precision": "bfloat16"},
    "adam": {"optimizer": "adam", "average": 0.9, "shift": 5, "start": "noise"},
    "sgd": {"optimizer": "sgd"},
    "L-BFGS, then Adam": {"optimizer": "auto", "precondition": 1.0, "shift": 5},
}


@pytest.mark.parametrize("stop", [2, 6, 8, 9])
@pytest.mark.parametrize("name", RESUMED)
def test_resumed_render_equals_uninterrupted_one_to_the_bit(network, pictures, tmp_path, name, stop):
    """Stopped by the caller within the first size, at its end, and where Adam takes over within the second."""
    settings = replace(PLAIN_SETTINGS, size=64, coarsest=45, iterations=6, **RESUMED[name])
    whole, seen = render(*pictures, network, settings, lambda p: True), []
    path = tmp_path / "a.checkpoint"
    render(*pictures, network, settings, lambda p: p.iteration < stop, RenderOptions(checkpoint=path))
    assert path.exists()
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True, RenderOptions(checkpoint=path))
    assert [p.iteration for p in seen] == list(range(stop + 1, 13))
    assert torch.equal(done.image, whole.image) and done.losses == whole.losses


def test_checkpoint_is_written_every_few_iterations(network, pictures, tmp_path):
    path, iterations = tmp_path / "a.checkpoint", []
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=7)

    def progress(step):
        # Those of the steps before this one.
        iterations.append(torch.load(path, weights_only=True)["iteration"] if path.exists() else 0)
        return True

    render(*pictures, network, settings, progress, RenderOptions(checkpoint=path, checkpoint_every=3))
    assert iterations == [0, 0, 0, 3, 3, 3, 6]
    assert [one.name for one in tmp_path.iterdir()] == ["a.checkpoint"]


def test_checkpoint_of_another_render_is_refused(network, pictures, tmp_path):
    path = tmp_path / "a.checkpoint"
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=4)
    render(*pictures, network, settings, lambda p: False, RenderOptions(checkpoint=path))
    other = replace(settings, seed=3, objective=replace(settings.objective, tv_weight=0.5))
    with pytest.raises(StyleError, match=r"whose tv_weight \(0.3 there, 0.5 here\), seed \(0 there, 3 here\) differ;"):
        render(*pictures, network, other, lambda p: True, RenderOptions(checkpoint=path))
    with pytest.raises(StyleError, match="whose style picture differs;"):
        render(pictures[0], pictures[1].flip(3), network, settings, lambda p: True, RenderOptions(checkpoint=path))
    with pytest.raises(StyleError, match="whose picture to start from differs;"):
        render(*pictures, network, settings, lambda p: True, RenderOptions(pictures[1], path))
    path.write_bytes(b"no checkpoint")
    with pytest.raises(StyleError, match="not a checkpoint of a render"):
        render(*pictures, network, settings, lambda p: True, RenderOptions(checkpoint=path))


def test_full_disk_raises_style_error(network, pictures, tmp_path, full_disk):
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=4)
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        render(*pictures, network, settings, lambda p: True, RenderOptions(None, tmp_path / "a.checkpoint", 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("shape", [(77, 96), (200, 100)])
def test_checkpoint_is_little_larger_than_its_least_size(network, tmp_path, optimizer, shape):
    path, generator = tmp_path / "a.checkpoint", torch.Generator().manual_seed(0)
    photo, style = (torch.rand(1, 3, *shape, generator=generator) for _ in range(2))
    settings = replace(PLAIN_SETTINGS, size=96, coarsest=0, optimizer=optimizer, iterations=8)
    render(photo, style, network, settings, lambda p: p.iteration < 7, RenderOptions(checkpoint=path))
    least = checkpoint_bytes(settings, *shape)
    assert least <= path.stat().st_size < 1.6 * least + 20_000
