from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.distill.distillation import training_batch
from nst_core.distill.student import save_compact
from nst_core.features.catalogue import load_features
from nst_core.pictures.photos import Photos


def test_student_learns_and_agrees_with_its_teacher(run, slim_weights, photos_folder, settings):
    student, step, losses = run(replace(settings, channels=(16, 8, 8, 8, 8), steps=200))
    assert step == 200
    early, late = (sum(sum(entry.values()) for entry in part) for part in (losses[:10], losses[-10:]))
    assert late < 0.5 * early
    teacher, photos = load_features(str(slim_weights)), Photos(photos_folder, 48)
    # Over all channels at once, since some channels of a random teacher are never active.
    a, b = (network(photos.batch(1000, 6, 96, 1), ["relu1_1"])["relu1_1"].flatten() for network in (student, teacher))
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.8
    # On the teacher's own scale, not in units of deviations.
    assert 0.6 < a.mean() / b.mean() < 1.4


def test_resumed_distillation_equals_an_uninterrupted_one(run):
    whole, _, _ = run(name="whole")
    _, step, _ = run(name="parts", stop_after=3)
    assert step == 3
    parts, step, losses = run(name="parts")
    assert (step, len(losses)) == (6, 3)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_checkpoint_of_another_distillation_is_refused(run, tmp_path, settings):
    run(name="a")
    with pytest.raises(StyleError, match="other settings"):
        run(replace(settings, seed=1), name="a")
    (tmp_path / "b.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(StyleError, match="not a checkpoint"):
        run(name="b")


def test_checkpoint_of_another_teacher_is_refused(run, tmp_path):
    run(name="a")
    saved = torch.load(tmp_path / "a.checkpoint", weights_only=True)
    torch.save(saved | {"teacher": "other"}, tmp_path / "a.checkpoint")
    with pytest.raises(StyleError, match="with the teacher other instead of slim"):
        run(name="a")


def test_full_disk_raises_style_error(run, full_disk, settings):
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        run(replace(settings, steps=1))


def test_half_the_batch_are_photos_and_a_quarter_mixtures(photos_folder, tmp_path, settings):
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (60, 60), (255, 0, 0)).save(tmp_path / f"{number}.png")
    batch = training_batch(Photos(photos_folder, 48), Photos(tmp_path, 48), replace(settings, batch=8), 1)
    red = (batch - torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)).abs().amax((1, 2, 3))
    assert batch.shape == (8, 3, 48, 48)
    assert (red[4:6] == 0).all() and (red[:4] > 0.1).all() and (red[6:] > 0).all()


def test_distillation_runs_without_renders(run, settings):
    _, step, _ = run(replace(settings, rendered=0, steps=1))
    assert step == 1


def test_distillation_starts_from_an_earlier_result(run, distil, tmp_path, settings):
    first, _, losses = run(replace(settings, steps=100, warmup=10, learning_rate=1e-2), name="first")
    save_compact(first, tmp_path / "first.safetensors", {})

    def restart(chosen):
        start = load_features(str(tmp_path / "first.safetensors"))
        return distil(chosen, tmp_path / f"{chosen.seed}.checkpoint", start=start)[2]

    seen = restart(replace(settings, steps=1, seed=7))
    assert sum(seen[0].values()) < 0.5 * sum(losses[0].values())
    with pytest.raises(StyleError, match="another shape"):
        restart(replace(settings, channels=(4, 6, 8, 8, 6), seed=8))


def test_layers_before_the_first_to_learn_stay(run, distil, tmp_path, settings):
    first, _, _ = run()
    save_compact(first, tmp_path / "first.safetensors", {})
    start = load_features(str(tmp_path / "first.safetensors"))
    later = replace(settings, first_layer="relu4_1")
    student, _, seen = distil(later, tmp_path / "later.checkpoint", start=start)
    assert set(seen[0]) == {"relu4_1", "relu5_1", "gram"}
    picture = torch.rand(1, 3, 64, 64)
    for layer in GATYS_STYLE_LAYERS:
        before, after = (network(picture, [layer])[layer] for network in (start, student))
        changed = (after - before).abs().max() / before.abs().max()
        assert changed > 1e-3 if layer >= "relu4_1" else changed < 1e-5, layer


def test_first_layer_needs_a_network_to_start_from(run, settings):
    with pytest.raises(StyleError, match="give a network to start from"):
        run(replace(settings, first_layer="relu4_1"))
    with pytest.raises(StyleError, match="no layer 'relu4_2' to learn; choose from relu1_1, "):
        run(replace(settings, first_layer="relu4_2"))
