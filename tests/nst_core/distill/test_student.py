from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.distill.student import save_compact
from nst_core.features.catalogue import load_features
from nst_core.features.vgg import build_compact


def test_saved_student_has_half_precision_and_nearly_the_same_features(run, tmp_path):
    student, _, _ = run()
    path = tmp_path / "compact.safetensors"
    save_compact(student, path, {"teacher": "slim", "steps": "6"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"layout": "compact", "teacher": "slim", "steps": "6"}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator of its own)
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    loaded = build_compact("compact", state)
    image = torch.rand(1, 3, 64, 48)
    assert loaded.layers == student.layers
    for layer in GATYS_STYLE_LAYERS:
        a, b = (network(image, [layer])[layer] for network in (student, loaded))
        torch.testing.assert_close(a, b, rtol=0.01, atol=0.01 * a.abs().max().item())


def test_full_disk_raises_style_error(run, tmp_path, full_disk):
    student, _, _ = run()
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        save_compact(student, tmp_path / "x.safetensors", {})
    assert not (tmp_path / "x.safetensors").exists()


def test_wider_student_begins_with_the_same_features(run, distil, tmp_path, settings):
    first, _, _ = run()
    save_compact(first, tmp_path / "first.safetensors", {})
    start = load_features(str(tmp_path / "first.safetensors"))
    wider = replace(settings, channels=(6, 6, 12, 8, 10), steps=1, learning_rate=1e-9)
    student, _, _ = distil(wider, tmp_path / "wider.checkpoint", start=start)
    assert student.convolutions["conv3_2"].weight.shape == (12, 12, 3, 3)
    picture = torch.rand(1, 3, 64, 64)
    for layer in student.layers:
        before, after = (network(picture, [layer])[layer] for network in (start, student))
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5 * before.abs().max().item())
    # Every channel begins differently, the further ones at random.
    own = student.convolutions["conv3_1"].weight.flatten(1)
    assert (own.norm(dim=1) > 0.1).all() and torch.linalg.matrix_rank(own) == 12
