import dataclasses

import pytest

torch = pytest.importorskip("torch")

from nst_core.dead_leaves import DeadLeaves  # noqa: E402
from nst_core.errors import StyleError  # noqa: E402
from nst_core.photos import Photos  # noqa: E402
from nst_core.settings import TrainSettings, TransformerSettings  # noqa: E402
from nst_core.train import load_checkpoint, save_checkpoint, train, turns  # noqa: E402
from nst_core.weights import load_features  # noqa: E402

SETTINGS = TrainSettings(
    network=TransformerSettings(width=4, residual_blocks=1), steps=12, batch=2, crop=48, style_size=48, seed=3
)
STYLE = torch.rand(1, 3, 50, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def run(slim_weights, photos_folder):
    def go(path, settings=SETTINGS, styles=(STYLE,), stop_after=10**9, start=None):
        losses = []

        def progress(step):
            losses.append(step.losses["total"])
            return step.step < stop_after

        return train(styles, Photos(photos_folder, 48), go.features, settings, progress, path, start), losses

    go.features = load_features(str(slim_weights))
    return go


def test_stopped_and_resumed_is_the_same_to_the_bit(run, tmp_path):
    whole, whole_losses = run(tmp_path / "whole")
    _, first = run(tmp_path / "parts", stop_after=5)
    assert load_checkpoint(tmp_path / "parts").step == 5
    parts, rest = run(tmp_path / "parts")
    assert first + rest == whole_losses and len(rest) == 7
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, parts.network.state_dict()[name]), name


def test_it_learns(run, tmp_path, samples, read_photo):
    settings = dataclasses.replace(SETTINGS, steps=48, learning_rate=5e-3)
    _, losses = run(tmp_path / "c", settings, styles=[read_photo(samples / "coffee.jpg", 90)])
    # Twelve steps are two passes over the photos.
    assert sum(losses[-12:]) < 0.2 * sum(losses[:12])


def test_learning_rate_cools_down_at_the_end():
    settings = TrainSettings(steps=100, cooldown=0.2, learning_rate=1.0)
    assert [settings.learning_rate_at(s) for s in (0, 79, 90)] == [1.0, 1.0, 0.5]
    assert settings.learning_rate_at(99) == pytest.approx(0.05)


def test_more_steps_may_follow_but_nothing_else_may_change(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    more, _ = run(tmp_path / "c", dataclasses.replace(SETTINGS, steps=14))
    assert more.step == 14
    with pytest.raises(StyleError, match="another style picture"):
        run(tmp_path / "c", dataclasses.replace(SETTINGS, batch=3))
    with pytest.raises(StyleError, match="another style picture"):
        run(tmp_path / "c", styles=[STYLE.flip(1)])


def test_a_training_may_start_from_another(run, tmp_path):
    first, losses = run(tmp_path / "first", dataclasses.replace(SETTINGS, steps=60, learning_rate=5e-3))
    objective = dataclasses.replace(SETTINGS.objective, content_weight=1.0)
    other = dataclasses.replace(SETTINGS, steps=2, objective=objective)
    done, started = run(tmp_path / "second", other, start=first)
    assert done.earlier_steps == 60 and load_checkpoint(tmp_path / "second").earlier_steps == 60
    assert started[0] < losses[0]
    with pytest.raises(StyleError, match="same shape"):
        run(tmp_path / "third", dataclasses.replace(SETTINGS, network=TransformerSettings(width=8)), start=first)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(run, tmp_path, full_disk):
    done, _ = run(tmp_path / "c", stop_after=2)
    before = (tmp_path / "c").read_bytes()
    with full_disk(), pytest.raises(StyleError, match="free some space"):
        save_checkpoint(done, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    with pytest.raises(StyleError, match="no checkpoint"):
        load_checkpoint(tmp_path / "missing")
    (tmp_path / "text").write_text("no")
    torch.save({"format": 1}, tmp_path / "other")
    for name in ("text", "other"):
        with pytest.raises(StyleError, match="not a checkpoint"):
            load_checkpoint(tmp_path / name)


def test_every_style_has_its_turn_equally_often():
    seen = [turns(step, 4, 3, seed=1) for step in range(30)]
    assert [sum((part == n).sum() for part in seen) for n in range(3)] == [40, 40, 40]
    assert len({tuple(part) for part in seen}) > 3
    assert (turns(7, 4, 3, seed=1) == seen[7]).all() and not (turns(7, 4, 1, seed=1)).any()


def test_one_network_learns_several_styles(run, tmp_path, samples, read_photo):
    """Of a red style and a blue one, each paints in its own colour."""
    red, blue = (STYLE * torch.tensor(colour).view(1, 3, 1, 1) for colour in ((1.0, 0.2, 0.1), (0.1, 0.2, 1.0)))
    network = TransformerSettings(width=8, residual_blocks=1, styles=2)
    settings = dataclasses.replace(SETTINGS, network=network, steps=100, learning_rate=5e-3)
    done, losses = run(tmp_path / "c", settings, [red, blue])
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    photo = read_photo(samples / "chelsea.jpg", 64)
    with torch.no_grad():
        shares = [done.network.eval()(photo, weights).mean((0, 2, 3)) for weights in torch.eye(2).split(1)]
    assert shares[0][0] > shares[0][2] and shares[1][2] > shares[1][0], shares
    assert load_checkpoint(tmp_path / "c").settings == settings


def test_a_new_style_may_start_from_a_network_of_several(run, tmp_path):
    network = dataclasses.replace(SETTINGS.network, styles=2)
    several, _ = run(tmp_path / "several", dataclasses.replace(SETTINGS, network=network), [STYLE, STYLE.flip(2)])
    done, _ = run(tmp_path / "one", dataclasses.replace(SETTINGS, steps=1), start=several)
    assert done.earlier_steps == 12 and done.settings.network.styles == 1


def test_a_training_with_photos_does_not_go_on_without(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    features = run.features
    with pytest.raises(StyleError, match="give them again"):
        train([STYLE], DeadLeaves(), features, SETTINGS, lambda _: True, tmp_path / "c")
