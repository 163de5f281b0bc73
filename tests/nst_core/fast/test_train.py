import dataclasses
import itertools

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainingIntervals, TrainSettings, TransformerSettings, with_faithful_row
from nst_core.fast.starting_network import StartingNetwork
from nst_core.fast.style_pictures import prepare_style_picture
from nst_core.fast.train import Training, TrainingData
from nst_core.fast.training_checkpoint import load_training
from nst_core.fast.transformer import paint_every_row
from nst_core.features.catalogue import load_features
from nst_core.losses.objective import Objective
from nst_core.pictures.dead_leaves import DeadLeaves
from nst_core.pictures.photos import Photos

SETTINGS = TrainSettings(
    network=TransformerSettings(width=4, residual_blocks=1), steps=12, batch=2, crop=48, style_size=48, seed=3
)
STYLE = torch.rand(1, 3, 80, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def run(slim_weights, photos_folder):
    def go(path, settings=SETTINGS, styles=(STYLE,), stop_after=10**9, steps=None, **options):
        """Train, append each report to ``steps``, and return the result with the total losses.

        ``options`` are ``start``, ``preview``, ``every`` (the steps between reports) and ``compiled``.
        """
        losses = []

        def progress(step):
            losses.append(step.losses["total"])
            if steps is not None:
                steps.append(step)
            return step.step < stop_after

        photos, start, preview = Photos(photos_folder, 48), options.get("start"), options.get("preview")
        data = TrainingData(styles, photos, go.features, start, preview)
        intervals = TrainingIntervals(save=5, report=options.get("every", 1))
        training = Training(data, settings, path, intervals, options.get("compiled", False))
        return training.run(progress), losses

    go.features = load_features(str(slim_weights))
    return go


def start_from(done):
    return StartingNetwork(done.network, done.total_steps, ("first",))


def same(one, other) -> bool:
    """Whether two networks are equal to the bit."""
    states = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_resumed_training_equals_uninterrupted_one_to_the_bit(run, tmp_path):
    whole, whole_losses = run(tmp_path / "whole")
    _, first = run(tmp_path / "parts", stop_after=5)
    assert load_training(tmp_path / "parts").step == 5
    parts, rest = run(tmp_path / "parts")
    assert first + rest == whole_losses and len(rest) == 7
    assert same(whole, parts)


def test_error_while_a_step_is_reported_keeps_the_checkpoint(run, tmp_path):
    """It may come from another process that is ended just then."""

    class Failing(list):
        def append(self, step):
            if step.step == 3:
                raise StyleError("The other process is gone.")

    with pytest.raises(StyleError, match="is gone"):
        run(tmp_path / "parts", steps=Failing())
    assert load_training(tmp_path / "parts").step == 3
    assert same(run(tmp_path / "parts")[0], run(tmp_path / "whole")[0])


def test_rarer_reports_change_nothing(run, tmp_path):
    """They come every third step, and with every checkpoint."""
    steps: list = []
    whole, losses = run(tmp_path / "whole")
    rarely, some = run(tmp_path / "rarely", every=3, steps=steps)
    reported = [step.step for step in steps]
    assert reported == [3, 5, 6, 9, 10, 12] and some == [losses[number - 1] for number in reported]
    assert same(whole, rarely)
    run(tmp_path / "stopped", every=3, stop_after=8)
    assert load_training(tmp_path / "stopped").step == 9


@pytest.mark.slow
def test_compiled_training_learns_the_same(run, tmp_path, monkeypatch):
    """The backend aot_eager is the compiler's first half, which needs no C++ compiler."""
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda part: whole(part, backend="aot_eager"))
    _, losses = run(tmp_path / "c", compiled=True)
    assert losses == pytest.approx(run(tmp_path / "plain")[1], rel=1e-3)


def test_training_lowers_the_loss(run, tmp_path, samples, read_photo):
    settings = dataclasses.replace(SETTINGS, steps=48, learning_rate=5e-3)
    _, losses = run(tmp_path / "c", settings, styles=[read_photo(samples / "coffee.jpg", 100)])
    # Twelve steps are two passes over the photos.
    assert sum(losses[-12:]) < 0.3 * sum(losses[:12])


def test_mesh_loss_is_proportional_to_its_weight(run, tmp_path):
    steps: list = []
    for weight in (0.0, 3.0, 6.0):
        run(tmp_path / f"{weight}", dataclasses.replace(SETTINGS, steps=1, mesh_weight=weight), steps=steps)
    none, some, double = (step.losses for step in steps)
    assert none["mesh"] == 0 < some["mesh"] and double["mesh"] == pytest.approx(2 * some["mesh"])
    assert some["total"] == pytest.approx(none["total"] + some["mesh"])


def test_learning_rate_falls_at_the_end():
    settings = TrainSettings(steps=100, cooldown=0.2, learning_rate=1.0)
    assert [settings.learning_rate_at(s) for s in (0, 79, 90)] == [1.0, 1.0, 0.5]
    assert settings.learning_rate_at(99) == pytest.approx(0.05)


def test_resumed_training_may_have_more_steps_but_no_other_change(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    more, _ = run(tmp_path / "c", dataclasses.replace(SETTINGS, steps=14))
    assert more.step == 14
    with pytest.raises(StyleError, match=r"a training with other settings \(batch\); use the same"):
        run(tmp_path / "c", dataclasses.replace(SETTINGS, batch=3))
    with pytest.raises(StyleError, match=r"no choice of detail \(--no-detail\)"):
        run(tmp_path / "c", with_faithful_row(SETTINGS))
    with pytest.raises(StyleError, match="a training with another style picture; use the same"):
        run(tmp_path / "c", styles=[STYLE.flip(1)])


def test_training_starts_from_another_network(run, tmp_path, samples, read_photo):
    styles = [read_photo(samples / "coffee.jpg", 100)]
    first, losses = run(tmp_path / "first", dataclasses.replace(SETTINGS, steps=60, learning_rate=5e-3), styles)
    objective = dataclasses.replace(SETTINGS.objective, content_weight=1.0)
    other = dataclasses.replace(SETTINGS, steps=2, objective=objective)
    done, started = run(tmp_path / "second", other, styles, start=start_from(first))
    kept = load_training(tmp_path / "second")
    assert (done.earlier_steps, done.started_from) == (kept.earlier_steps, kept.started_from) == (60, "first")
    assert started[0] < 0.5 * losses[0]
    with pytest.raises(StyleError, match="same shape"):
        run(
            tmp_path / "third",
            dataclasses.replace(SETTINGS, network=TransformerSettings(width=8)),
            start=start_from(first),
        )


def test_too_small_style_picture_is_refused(run, tmp_path):
    with pytest.raises(StyleError, match="is 200x63 pixels; choose one with at least 64 pixels"):
        run(tmp_path / "c", styles=[STYLE, torch.rand(1, 3, 63, 200)])
    assert not any(tmp_path.iterdir())


def test_one_network_learns_several_styles(run, tmp_path, samples, read_photo):
    """A red style and a blue one each paint in their own colour."""
    red, blue = (STYLE * torch.tensor(colour).view(1, 3, 1, 1) for colour in ((1.0, 0.2, 0.1), (0.1, 0.2, 1.0)))
    network = TransformerSettings(width=8, residual_blocks=1, styles=2)
    settings = dataclasses.replace(SETTINGS, network=network, steps=100, learning_rate=5e-3)
    done, losses = run(tmp_path / "c", settings, [red, blue])
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    photo = read_photo(samples / "chelsea.jpg", 64)
    with torch.no_grad():
        shares = [done.network.eval()(photo, weights).mean((0, 2, 3)) for weights in torch.eye(2).split(1)]
    assert shares[0][0] > shares[0][2] and shares[1][2] > shares[1][0], shares
    assert load_training(tmp_path / "c").settings == settings


def test_faithful_row_keeps_more_of_the_photo(run, tmp_path, samples, read_photo):
    """By the feature network ``compact``, since a random one hardly tells contents apart."""
    run.features = load_features("compact")
    network = TransformerSettings(width=8, residual_blocks=1)
    objective = dataclasses.replace(SETTINGS.objective, content_weight=0.1)
    plain = dataclasses.replace(SETTINGS, network=network, objective=objective, steps=80, learning_rate=2e-3)
    settings = with_faithful_row(plain, content_weight=30.0)
    painting = read_photo(samples / "coffee.jpg", 100)
    done, _ = run(tmp_path / "c", settings, [painting])
    photo = read_photo(samples / "chelsea.jpg", 64)
    judge = Objective(run.features, settings.rows[0], [prepare_style_picture(painting, settings)])
    with torch.no_grad():
        targets = judge.content_targets(photo)
        faithful, bold = (judge(one, targets)["content"] for one in paint_every_row(done.network, photo))
    assert faithful < 0.95 * bold
    assert load_training(tmp_path / "c").settings == settings


def test_training_of_two_rows_resumes_to_the_bit(run, tmp_path):
    settings = with_faithful_row(SETTINGS)
    whole, whole_losses = run(tmp_path / "whole", settings)
    _, first = run(tmp_path / "parts", settings, stop_after=5)
    parts, rest = run(tmp_path / "parts", settings)
    assert first + rest == whole_losses
    assert same(whole, parts)


def test_steadiness_loss_is_proportional_to_its_weight(run, tmp_path):
    steps: list = []
    for weight in (2.0, 4.0):
        run(tmp_path / f"{weight}", dataclasses.replace(SETTINGS, steps=1, steady_weight=weight), steps=steps)
    some, double = (step.losses for step in steps)
    assert some["steady"] > 0 and double["steady"] == pytest.approx(2 * some["steady"])
    assert double["total"] == pytest.approx(some["total"] + some["steady"])


def test_every_row_needs_an_objective():
    with pytest.raises(StyleError, match="2 rows for each style, and the settings have 1 objectives"):
        TrainSettings(network=TransformerSettings(rows_per_style=2))


def test_new_style_starts_from_a_network_of_several(run, tmp_path):
    network = dataclasses.replace(SETTINGS.network, styles=2)
    several, _ = run(tmp_path / "several", dataclasses.replace(SETTINGS, network=network), [STYLE, STYLE.flip(2)])
    done, _ = run(tmp_path / "one", dataclasses.replace(SETTINGS, steps=1), start=start_from(several))
    assert done.earlier_steps == 12 and done.settings.network.styles == 1


def test_checkpoints_without_starting_network_or_minutes_load(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    saved = torch.load(tmp_path / "c", weights_only=True)
    for name in ("started_from", "minutes"):
        (saved if name in saved else saved["settings"]).pop(name)
    torch.save(saved, tmp_path / "c")
    assert run(tmp_path / "c")[0].started_from == ""
    torch.save(saved | {"earlier_steps": 9}, tmp_path / "c")
    assert load_training(tmp_path / "c").started_from == "another training"


def test_training_with_photos_does_not_resume_without(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    features = run.features
    with pytest.raises(StyleError, match="give them again"):
        Training(TrainingData([STYLE], DeadLeaves(), features), SETTINGS, tmp_path / "c")


def test_preview_comes_with_checkpoints_and_changes_nothing(run, tmp_path, samples, read_photo):
    photos = read_photo(samples / "chelsea.jpg", 64)[..., :40].repeat(3, 1, 1, 1)
    steps = []
    watched, losses = run(tmp_path / "watched", preview=photos, steps=steps)
    alone, losses_alone = run(tmp_path / "alone")
    assert losses == losses_alone and same(watched, alone) and watched.network.training
    assert [step.step for step in steps if step.paintings is not None] == [5, 10]
    stopped, _ = run(tmp_path / "stopped", stop_after=10)
    assert torch.equal(steps[9].paintings, paint_every_row(stopped.network, photos))
    assert steps[9].paintings.shape == (1, *photos.shape) and 0 <= steps[9].paintings.min() <= 1


@pytest.fixture
def second_a_step(monkeypatch):
    """A clock by which every step takes a second."""
    monkeypatch.setattr("nst_core.fast.step_budget.monotonic", itertools.count().__next__)


def test_budget_in_minutes_becomes_a_number_of_steps(run, tmp_path, second_a_step):
    """The learning rate falls at its end, as with that number of steps."""
    budget, steps = dataclasses.replace(SETTINGS, minutes=0.3), []
    done, _ = run(tmp_path / "minutes", budget, steps=steps)
    assert [step.steps for step in steps] == [0] * 3 + [18] * 15 and done.step == 18
    assert same(done, run(tmp_path / "steps", dataclasses.replace(SETTINGS, steps=18))[0])
    # The same command again adds nothing; twice the budget is twice the steps.
    again, more = run(tmp_path / "minutes", budget)
    assert more == [] and same(again, done)
    assert run(tmp_path / "minutes", dataclasses.replace(budget, minutes=0.6))[0].step == 36


def test_budget_resumes_after_a_break(run, tmp_path, second_a_step):
    budget = dataclasses.replace(SETTINGS, minutes=0.3)
    run(tmp_path / "c", budget, stop_after=2)  # too early to know how many steps fit
    assert load_training(tmp_path / "c").settings.steps == 0
    run(tmp_path / "c", budget, stop_after=12)
    assert load_training(tmp_path / "c").settings.steps == 2 + 18
    done, rest = run(tmp_path / "c", budget)
    assert len(rest) == 8 and same(done, run(tmp_path / "whole", dataclasses.replace(SETTINGS, steps=20))[0])
    # After a training by steps, it is counted from there.
    run(tmp_path / "s", dataclasses.replace(SETTINGS, steps=5))
    assert run(tmp_path / "s", budget)[0].step == 5 + 18
