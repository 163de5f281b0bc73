from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open  # noqa: E402

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS  # noqa: E402
from nst_core.base.training_settings import DistillSettings  # noqa: E402
from nst_core.distill import distillation as distill  # noqa: E402
from nst_core.distill.student_renders import LEAST_CROP, ROUND, StudentRenders  # noqa: E402
from nst_core.features import catalogue as weights  # noqa: E402
from nst_core.features.network import TORCHVISION  # noqa: E402
from nst_core.features.vgg import VGGNetwork, build_compact  # noqa: E402
from nst_core.pictures.photos import Photos  # noqa: E402

SETTINGS = DistillSettings(channels=(4, 6, 8, 8, 8), steps=6, batch=4, crop=48)


@pytest.fixture
def run(slim_weights, photos_folder, tmp_path):
    """Distils a tiny random network from crops of our photos; returns the student, the step and the losses."""
    teacher, photos = weights.load_features(str(slim_weights)), Photos(photos_folder, 48)

    def call(settings=SETTINGS, name="a", stop_after=None):
        losses = []

        def progress(step):
            losses.append(step.losses)
            return step.step != stop_after

        student, step = distill.distill(teacher, photos, photos, settings, progress, tmp_path / f"{name}.checkpoint")
        return student, step, losses

    return call


def test_it_learns_and_agrees_with_its_teacher_afterwards(run, slim_weights, photos_folder):
    student, step, losses = run(replace(SETTINGS, channels=(16, 8, 8, 8, 8), steps=200))
    assert step == 200
    early, late = (sum(sum(entry.values()) for entry in part) for part in (losses[:10], losses[-10:]))
    assert late < 0.5 * early
    teacher, photos = weights.load_features(str(slim_weights)), Photos(photos_folder, 48)
    # Over all channels at once, since some channels of a random teacher are never active.
    a, b = (network(photos.batch(1000, 6, 96, 1), ["relu1_1"])["relu1_1"].flatten() for network in (student, teacher))
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.8
    # On the teacher's own scale, not in units of deviations.
    assert 0.6 < a.mean() / b.mean() < 1.4


def test_a_training_goes_on_as_if_it_had_not_stopped(run):
    whole, _, _ = run(name="whole")
    _, step, _ = run(name="parts", stop_after=3)
    assert step == 3
    parts, step, losses = run(name="parts")
    assert (step, len(losses)) == (6, 3)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_another_trainings_checkpoint_is_refused(run, tmp_path):
    run(name="a")
    with pytest.raises(StyleError, match="another teacher or settings"):
        run(replace(SETTINGS, seed=1), name="a")
    (tmp_path / "b.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(StyleError, match="not a checkpoint"):
        run(name="b")


def test_a_full_disk_is_told(run, full_disk):
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        run(replace(SETTINGS, steps=1))


def test_a_saved_network_is_small_and_answers_the_same(run, tmp_path):
    student, _, _ = run()
    path = tmp_path / "compact.safetensors"
    distill.save_compact(student, path, {"teacher": "slim", "steps": "6"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"layout": "compact", "teacher": "slim", "steps": "6"}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    loaded = build_compact("compact", state)
    image = torch.rand(1, 3, 64, 48)
    assert loaded.layers == student.layers
    for layer in GATYS_STYLE_LAYERS:
        a, b = (network(image, [layer])[layer] for network in (student, loaded))
        torch.testing.assert_close(a, b, rtol=0.01, atol=0.01 * a.abs().max().item())


def test_half_the_pictures_are_photos_and_a_quarter_between(photos_folder, tmp_path):
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (60, 60), (255, 0, 0)).save(tmp_path / f"{number}.png")
    batch = distill.pictures_of_step(Photos(photos_folder, 48), Photos(tmp_path, 48), replace(SETTINGS, batch=8), 1)
    red = (batch - torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)).abs().amax((1, 2, 3))
    assert batch.shape == (8, 3, 48, 48)
    assert (red[4:6] == 0).all() and (red[:4] > 0.1).all() and (red[6:] > 0).all()


def test_the_network_learns_from_what_it_paints_itself(slim_weights, photos_folder):
    """The pictures start as photos, come nearer to the student's objective step by step, and are replaced in time."""
    student, photos = weights.load_features(str(slim_weights)), Photos(photos_folder, 48)
    settings = replace(SETTINGS, rendered=3, seed=5)
    renders = StudentRenders(photos, photos, settings, torch.device("cpu"))
    pictures = [renders.of_step(step, student) for step in range(1, ROUND + 2)]
    assert pictures[0].shape == (3, 3, 48, 48)
    assert min(picture.min() for picture in pictures) >= 0 and max(picture.max() for picture in pictures) <= 1
    first, second = (photos.batch(number, 3, 48, 6, LEAST_CROP) for number in (0, 1))
    moved = [(picture - first).abs().mean() for picture in pictures[:ROUND]]
    assert 0 < moved[0] < 0.021 and moved[-1] > 2 * moved[0]
    assert (pictures[ROUND] - second).abs().max() < 0.021


def test_without_renders_there_are_none(run):
    _, step, _ = run(replace(SETTINGS, rendered=0, steps=1))
    assert step == 1


def test_agreement_counts_dead_channels_as_none(slim_weights):
    teacher = weights.load_features(str(slim_weights))
    pictures = [torch.rand(1, 3, 32, 32) for _ in range(2)]
    assert distill.agreement(teacher, teacher, pictures, ["relu1_1"])["relu1_1"] == pytest.approx(1.0, abs=1e-6)
    dead = VGGNetwork("dead", {"conv1_1": (torch.zeros(12, 3, 3, 3), -torch.ones(12))})
    assert distill.agreement(dead, teacher, pictures, ["relu1_1"])["relu1_1"] == 0.0


def test_a_training_may_start_from_anothers_result(run, slim_weights, photos_folder, tmp_path):
    first, _, losses = run(replace(SETTINGS, steps=100, warmup=10, learning_rate=1e-2), name="first")
    distill.save_compact(first, tmp_path / "first.safetensors", {})
    teacher, photos = weights.load_features(str(slim_weights)), Photos(photos_folder, 48)
    seen = []

    def go(settings):
        start = weights.load_features(str(tmp_path / "first.safetensors"))
        path = tmp_path / f"{settings.seed}.checkpoint"
        distill.distill(teacher, photos, photos, settings, lambda s: not seen.append(s.losses), path, start=start)

    go(replace(SETTINGS, steps=1, seed=7))
    assert sum(seen[0].values()) < 0.5 * sum(losses[0].values())
    with pytest.raises(StyleError, match="another shape"):
        go(replace(SETTINGS, channels=(4, 6, 8, 8, 6), seed=8))


def test_a_wider_network_begins_as_the_one_that_it_starts_from(run, slim_weights, photos_folder, tmp_path):
    first, _, _ = run()
    distill.save_compact(first, tmp_path / "first.safetensors", {})
    start = weights.load_features(str(tmp_path / "first.safetensors"))
    teacher, photos = weights.load_features(str(slim_weights)), Photos(photos_folder, 48)
    wider = replace(SETTINGS, channels=(6, 6, 12, 8, 10), steps=1, learning_rate=1e-9)
    path = tmp_path / "wider.checkpoint"
    student, _ = distill.distill(teacher, photos, photos, wider, lambda _: True, path, start=start)
    assert student.convolutions["conv3_2"].weight.shape == (12, 12, 3, 3)
    picture = torch.rand(1, 3, 64, 64)
    for layer in student.layers:
        before, after = (network(picture, [layer])[layer] for network in (start, student))
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5 * before.abs().max().item())
    # Each of its own channels is another one's beginning.
    own = student.convolutions["conv3_1"].weight.flatten(1)
    assert (own.norm(dim=1) > 0.1).all() and torch.linalg.matrix_rank(own) == 12


@pytest.mark.parametrize("layer", distill.CONV_LAYERS)
def test_the_losses_are_those_of_all_channels_written_out(slim_weights, layer):
    """They are worked out from products of the network's own channels; here from what the heads answer."""
    generator = torch.Generator().manual_seed(1)
    student = distill.new_network(SETTINGS, dict.fromkeys(distill.CONV_LAYERS, 12))
    for head in student.heads.values():
        head.bias.data.normal_(generator=generator)
    relu, scale = distill._relu(layer), 0.5 + torch.rand(1, 12, 1, 1, generator=generator)
    batch = torch.rand(3, 3, 48, 64, generator=generator)
    teacher = weights.load_features(str(slim_weights))(batch, [layer])[layer]
    trunk = VGGNetwork("own", {}, TORCHVISION)
    trunk.convolutions = student.convolutions
    found = distill._losses(student, layer, trunk(batch, [relu])[relu], teacher, scale)

    answers = {name: value.double() for name, value in student(batch, [layer, relu]).items()}
    before = (teacher / scale).double()
    after = before.relu()
    loss = (answers[relu] - after).square().mean() + 0.1 * (answers[layer] - before).square().mean()
    centred = [(scale * (value - after.mean((2, 3), keepdim=True))).flatten(2) for value in (answers[relu], after)]
    gram, target = (value @ value.transpose(1, 2) / value.shape[2] for value in centred)
    size = target.square().sum((1, 2))
    expected = loss, 2 * ((gram - target).square().sum((1, 2)) / (size + size.mean())).mean()
    parameters = [p for name, p in student.named_parameters() if name.startswith("convolutions.conv1_1")]
    for one, other in zip(found, expected, strict=True):
        assert one.item() == pytest.approx(other.item(), rel=1e-5)
        gradients = (torch.autograd.grad(value, parameters, retain_graph=True) for value in (one, other))
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


def test_what_comes_before_the_first_layer_to_learn_stays(run, slim_weights, photos_folder, tmp_path):
    first, _, _ = run()
    distill.save_compact(first, tmp_path / "first.safetensors", {})
    start = weights.load_features(str(tmp_path / "first.safetensors"))
    teacher, photos = weights.load_features(str(slim_weights)), Photos(photos_folder, 48)
    later, path, seen = replace(SETTINGS, first_layer="relu4_1"), tmp_path / "later.checkpoint", []
    student, _ = distill.distill(teacher, photos, photos, later, lambda s: not seen.append(s.losses), path, start=start)
    assert set(seen[0]) == {"relu4_1", "relu5_1", "gram"}
    picture = torch.rand(1, 3, 64, 64)
    for layer in GATYS_STYLE_LAYERS:
        before, after = (network(picture, [layer])[layer] for network in (start, student))
        changed = (after - before).abs().max() / before.abs().max()
        assert changed > 1e-3 if layer >= "relu4_1" else changed < 1e-5, layer


def test_a_first_layer_asks_for_a_network_that_has_the_others(run):
    with pytest.raises(StyleError, match="give a network to start from"):
        run(replace(SETTINGS, first_layer="relu4_1"))
    with pytest.raises(StyleError, match="no layer 'relu4_2' to learn; choose from relu1_1, "):
        run(replace(SETTINGS, first_layer="relu4_2"))


def test_a_result_that_cannot_be_written_is_one_sentence(run, tmp_path, full_disk):
    student, _, _ = run()
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        distill.save_compact(student, tmp_path / "x.safetensors", {})
    assert not (tmp_path / "x.safetensors").exists()
