import dataclasses
import itertools

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.base.training_settings import TrainSettings, TransformerSettings  # noqa: E402
from nst_core.fast.train import (  # noqa: E402
    Base,
    fitting,
    load_checkpoint,
    nearest,
    paint,
    save_checkpoint,
    style_schedule,
    train,
)
from nst_core.fast.transformer import TransformerNetwork  # noqa: E402
from nst_core.features.catalogue import load_features  # noqa: E402
from nst_core.pictures.dead_leaves import DeadLeaves  # noqa: E402
from nst_core.pictures.photos import Photos  # noqa: E402

SETTINGS = TrainSettings(
    network=TransformerSettings(width=4, residual_blocks=1), steps=12, batch=2, crop=48, style_size=48, seed=3
)
STYLE = torch.rand(1, 3, 80, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def run(slim_weights, photos_folder):
    def go(
        path,
        settings=SETTINGS,
        styles=(STYLE,),
        stop_after=10**9,
        start=None,
        preview=None,
        steps=None,
        every=1,
        compiled=False,
    ):
        """``steps`` takes what is reported after each one."""
        losses = []

        def progress(step):
            losses.append(step.losses["total"])
            if steps is not None:
                steps.append(step)
            return step.step < stop_after

        photos = Photos(photos_folder, 48)
        done = train(styles, photos, go.features, settings, progress, path, start, preview, 5, every, compiled)
        return done, losses

    go.features = load_features(str(slim_weights))
    return go


def base(done):
    return Base(done.network, done.step + done.earlier_steps, ("first",))


def same(one, other) -> bool:
    """Whether two networks are equal to the bit."""
    states = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_stopped_and_resumed_is_the_same_to_the_bit(run, tmp_path):
    whole, whole_losses = run(tmp_path / "whole")
    _, first = run(tmp_path / "parts", stop_after=5)
    assert load_checkpoint(tmp_path / "parts").step == 5
    parts, rest = run(tmp_path / "parts")
    assert first + rest == whole_losses and len(rest) == 7
    assert same(whole, parts)


def test_an_error_while_a_step_is_told_keeps_what_was_learned(run, tmp_path):
    """Of another process, say, that is ended just then."""

    class Deaf(list):
        def append(self, step):
            if step.step == 3:
                raise StyleError("The other process is gone.")

    with pytest.raises(StyleError, match="is gone"):
        run(tmp_path / "parts", steps=Deaf())
    assert load_checkpoint(tmp_path / "parts").step == 3
    assert same(run(tmp_path / "parts")[0], run(tmp_path / "whole")[0])


def test_what_is_reported_now_and_then_is_the_same(run, tmp_path):
    """Every third step, and with every checkpoint."""
    steps: list = []
    whole, losses = run(tmp_path / "whole")
    rarely, some = run(tmp_path / "rarely", every=3, steps=steps)
    reported = [step.step for step in steps]
    assert reported == [3, 5, 6, 9, 10, 12] and some == [losses[number - 1] for number in reported]
    assert same(whole, rarely)
    run(tmp_path / "stopped", every=3, stop_after=8)
    assert load_checkpoint(tmp_path / "stopped").step == 9


@pytest.mark.slow
def test_compiled_it_learns_the_same(run, tmp_path, monkeypatch):
    """By the compiler's first half, which needs no C++ compiler."""
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda part: whole(part, backend="aot_eager"))
    _, losses = run(tmp_path / "c", compiled=True)
    assert losses == pytest.approx(run(tmp_path / "plain")[1], rel=1e-3)


def test_it_learns(run, tmp_path, samples, read_photo):
    settings = dataclasses.replace(SETTINGS, steps=48, learning_rate=5e-3)
    _, losses = run(tmp_path / "c", settings, styles=[read_photo(samples / "coffee.jpg", 100)])
    # Twelve steps are two passes over the photos.
    assert sum(losses[-12:]) < 0.3 * sum(losses[:12])


def test_a_mesh_costs_what_its_weight_says(run, tmp_path):
    steps: list = []
    for weight in (0.0, 3.0, 6.0):
        run(tmp_path / f"{weight}", dataclasses.replace(SETTINGS, steps=1, mesh_weight=weight), steps=steps)
    none, some, double = (step.losses for step in steps)
    assert none["mesh"] == 0 < some["mesh"] and double["mesh"] == pytest.approx(2 * some["mesh"])
    assert some["total"] == pytest.approx(none["total"] + some["mesh"])


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


def test_a_training_may_start_from_another(run, tmp_path, samples, read_photo):
    styles = [read_photo(samples / "coffee.jpg", 100)]
    first, losses = run(tmp_path / "first", dataclasses.replace(SETTINGS, steps=60, learning_rate=5e-3), styles)
    objective = dataclasses.replace(SETTINGS.objective, content_weight=1.0)
    other = dataclasses.replace(SETTINGS, steps=2, objective=objective)
    done, started = run(tmp_path / "second", other, styles, start=base(first))
    kept = load_checkpoint(tmp_path / "second")
    assert (done.earlier_steps, done.started_from) == (kept.earlier_steps, kept.started_from) == (60, "first")
    assert started[0] < 0.5 * losses[0]
    with pytest.raises(StyleError, match="same shape"):
        run(tmp_path / "third", dataclasses.replace(SETTINGS, network=TransformerSettings(width=8)), start=base(first))


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(run, tmp_path, full_disk):
    done, _ = run(tmp_path / "c", stop_after=2)
    before = (tmp_path / "c").read_bytes()
    with full_disk(), pytest.raises(StyleError, match="free some space"):
        save_checkpoint(done, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_style_picture_too_small_for_strokes_is_refused(run, tmp_path):
    with pytest.raises(StyleError, match="is 200x63 pixels; choose one with at least 64 pixels"):
        run(tmp_path / "c", styles=[STYLE, torch.rand(1, 3, 63, 200)])
    assert not any(tmp_path.iterdir())


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    with pytest.raises(StyleError, match="no checkpoint"):
        load_checkpoint(tmp_path / "missing")
    (tmp_path / "text").write_text("no")
    torch.save({"format": 1}, tmp_path / "other")
    for name in ("text", "other"):
        with pytest.raises(StyleError, match="not a checkpoint"):
            load_checkpoint(tmp_path / name)


def test_every_style_has_its_turn_equally_often():
    seen = [style_schedule(step, 4, 3, seed=1) for step in range(30)]
    assert [sum((part == n).sum() for part in seen) for n in range(3)] == [40, 40, 40]
    assert len({tuple(part) for part in seen}) > 3
    assert (style_schedule(7, 4, 3, seed=1) == seen[7]).all() and not (style_schedule(7, 4, 1, seed=1)).any()


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
    done, _ = run(tmp_path / "one", dataclasses.replace(SETTINGS, steps=1), start=base(several))
    assert done.earlier_steps == 12 and done.settings.network.styles == 1


def test_checkpoints_from_before_the_base_was_noted_load(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    saved = torch.load(tmp_path / "c", weights_only=True)
    for name in ("started_from", "minutes"):
        (saved if name in saved else saved["settings"]).pop(name)
    torch.save(saved, tmp_path / "c")
    assert run(tmp_path / "c")[0].started_from == ""
    torch.save(saved | {"earlier_steps": 9}, tmp_path / "c")
    assert load_checkpoint(tmp_path / "c").started_from == "another training"


def test_a_training_with_photos_does_not_go_on_without(run, tmp_path):
    run(tmp_path / "c", stop_after=2)
    features = run.features
    with pytest.raises(StyleError, match="give them again"):
        train([STYLE], DeadLeaves(), features, SETTINGS, lambda _: True, tmp_path / "c")


def test_a_preview_is_painted_from_time_to_time_and_changes_nothing(run, tmp_path, samples, read_photo):
    photos = read_photo(samples / "chelsea.jpg", 64)[..., :40].repeat(3, 1, 1, 1)
    steps = []
    watched, losses = run(tmp_path / "watched", preview=photos, steps=steps)
    alone, losses_alone = run(tmp_path / "alone")
    assert losses == losses_alone and same(watched, alone) and watched.network.training
    assert [step.step for step in steps if step.paintings is not None] == [5, 10]
    stopped, _ = run(tmp_path / "stopped", stop_after=10)
    assert torch.equal(steps[9].paintings, paint(stopped.network, photos))
    assert steps[9].paintings.shape == (1, *photos.shape) and 0 <= steps[9].paintings.min() <= 1


def test_the_steps_that_fit_into_a_budget():
    assert fitting(100, [0, 2, 4, 6]) == 0  # the first are slow
    assert fitting(1000, [0, 2, 4, 6, 7]) == 0  # too little of the budget to tell
    assert fitting(100, [0, 2, 4, 6, 7, 8]) == 5 + 92
    assert fitting(100, [0, 2, 4, 6, 7, 8], before=10) == 10 + 5 + 92
    assert fitting(3, [0, 2, 4, 6, 7]) == 4  # already used up


@pytest.fixture
def second_a_step(monkeypatch):
    """A clock by which every step takes a second."""
    monkeypatch.setattr("nst_core.fast.train.monotonic", itertools.count().__next__)


def test_a_budget_in_minutes_becomes_a_number_of_steps(run, tmp_path, second_a_step):
    """The learning rate comes down at its end, as with as many steps."""
    budget, steps = dataclasses.replace(SETTINGS, minutes=0.3), []
    done, _ = run(tmp_path / "minutes", budget, steps=steps)
    assert [step.steps for step in steps] == [0] * 3 + [18] * 15 and done.step == 18
    assert same(done, run(tmp_path / "steps", dataclasses.replace(SETTINGS, steps=18))[0])
    # The same command again adds nothing; twice the budget is twice the steps.
    again, more = run(tmp_path / "minutes", budget)
    assert more == [] and same(again, done)
    assert run(tmp_path / "minutes", dataclasses.replace(budget, minutes=0.6))[0].step == 36


def test_a_budget_goes_on_after_a_break(run, tmp_path, second_a_step):
    budget = dataclasses.replace(SETTINGS, minutes=0.3)
    run(tmp_path / "c", budget, stop_after=2)  # before it is known how many steps fit
    assert load_checkpoint(tmp_path / "c").settings.steps == 0
    run(tmp_path / "c", budget, stop_after=12)
    assert load_checkpoint(tmp_path / "c").settings.steps == 2 + 18
    done, rest = run(tmp_path / "c", budget)
    assert len(rest) == 8 and same(done, run(tmp_path / "whole", dataclasses.replace(SETTINGS, steps=20))[0])
    # After a training by steps, it is counted from there.
    run(tmp_path / "s", dataclasses.replace(SETTINGS, steps=5))
    assert run(tmp_path / "s", budget)[0].step == 5 + 18


def test_the_nearest_style_is_the_one_that_paints_alike(run, samples, read_photo):
    """Given paintings by one of the networks, it is found, with the styles that they were painted in."""
    photo, bases = read_photo(samples / "chelsea.jpg", 64), []
    for number in range(2):
        torch.manual_seed(number)
        network = TransformerNetwork(dataclasses.replace(SETTINGS.network, styles=3))
        for name, table in network.named_parameters():
            if "norm" in name:
                torch.nn.init.normal_(table, 0.5)
        bases.append(Base(network, 100 * number, tuple("abc")))
    settings = dataclasses.replace(SETTINGS, style_size=52)  # about that of the photo
    for base, names in ((bases[1], "ca"), (bases[0], "b")):
        paintings = paint(base.network, photo)
        found = nearest(bases, [paintings["abc".index(name)] for name in names], photo, run.features, settings)
        assert (found.network, found.title) == (base.network, ", ".join(names))
