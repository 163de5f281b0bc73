from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from benchmarks.quality import scores
from benchmarks.quality.quality_command import parse
from benchmarks.quality.style_subjects import read_subjects
from nst_core.losses.functional import total_variation


def score(arguments):
    options = parse(arguments)
    return scores.score_styles(read_subjects(options.subjects), options)


def test_subject_has_the_settings_of_its_training(arguments, training_settings):
    (subject,) = read_subjects(parse(arguments()).subjects)
    assert (subject.objective, subject.style_size) == (training_settings.objective, 80)
    assert subject.features.name == "slim" and subject.painting.shape[:2] == (1, 3)


def test_objective_is_that_of_the_training(arguments, half_flat_photo):
    """With all weights except one at or near 0, it equals that one loss of the picture."""
    (subject,) = read_subjects(parse(arguments()).subjects)
    smooth = replace(subject.objective, content_weight=0.0, style_weight=1e-9)
    photo = torch.nn.functional.interpolate(half_flat_photo[None], (48, 64), mode="area")
    options = parse(arguments("--iterations", "1,8"))
    smooth_subject = replace(subject, settings=replace(subject.settings, objective=smooth))
    smooth_objective = scores.score_photo(smooth_subject, 0, photo, options)["fast"]["objective"]
    painting = scores.paint_photo(subject.style, photo)
    assert smooth_objective == pytest.approx(7 * total_variation(painting).item(), rel=1e-4)
    record = scores.score_photo(subject, 0, photo, options)
    assert record["fast"]["objective"] > smooth_objective
    for curve in record["render"].values():
        assert curve[1] < curve[0]
    # White noise has neither the photo's content nor its smoothness.
    assert record["render"]["noise"][0] > 1.5 * record["render"]["photo"][0]


def test_interrupted_run_continues(arguments, tmp_path, monkeypatch):
    render_scores = scores.render_scores
    seeds = []

    def interrupted(subject, photo, seed, *rest):
        seeds.append(seed)
        if len(seeds) == 2:
            raise KeyboardInterrupt
        return render_scores(subject, photo, seed, *rest)

    monkeypatch.setattr(scores, "render_scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(arguments(photos=2))
    assert seeds == [0, 2]
    assert {path.name for path in (tmp_path / "out/raw/small").iterdir()} == {"000.render.json", "000.fast.json"}
    records = score(arguments(photos=2))
    assert seeds == [0, 2, 2] and [record["photo"] for record in records] == [0, 2]
    assert score(arguments(photos=2)) == records and len(seeds) == 3


def test_changed_options_are_measured_again(arguments, small_assets):
    (first,) = score(arguments())
    (second,) = score([*arguments(), "--iterations", "1"])
    assert second["iterations"] == [1] and second["fast"] == first["fast"]
    (third,) = score([*arguments(), "--painting", f"small={small_assets}/photos/../styles/coffee.jpg"])
    assert third == first  # the same painting by another path
    (fourth,) = score([*arguments(), "--size", "80"])
    assert fourth["fast"]["objective"] != first["fast"]["objective"]


def test_new_transformer_network_keeps_the_renders(arguments, slim_weights, write_style, tmp_path, monkeypatch):
    (first,) = score(arguments())
    write_style(tmp_path / "small.onnx", slim_weights.stem, seed=1)
    monkeypatch.setattr(scores, "render_scores", None)
    (second,) = score([str(tmp_path / "small.onnx") if a.endswith("small.onnx") else a for a in arguments()])
    assert second["render"] == first["render"] and second["fast"]["objective"] != first["fast"]["objective"]
