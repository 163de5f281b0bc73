from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.base.iterative_settings import PLAIN_SETTINGS  # noqa: E402
from nst_core.base.objective_settings import ObjectiveSettings  # noqa: E402
from nst_core.features.catalogue import load_features  # noqa: E402
from nst_core.studies import experiments as studies  # noqa: E402

SETTINGS = replace(
    PLAIN_SETTINGS, objective=ObjectiveSettings(tv_weight=0.0), size=64, iterations=40, optimizer="lbfgs"
)


@pytest.fixture(scope="module")
def compact():
    return load_features("compact")


@pytest.fixture
def materials(compact, read_photo, samples):
    """Two photos of ours; ``seen`` collects the progress."""
    seen = []
    pair = [read_photo(samples / name, 96) for name in ("chelsea.jpg", "coffee.jpg")]
    found = studies.Materials(*pair, compact, seen.append)
    found.seen = seen
    return found


def with_layers(**layers):
    return replace(SETTINGS, objective=replace(SETTINGS.objective, **layers))


def check_progress(materials):
    assert [step.done for step in materials.seen] == list(range(1, len(materials.seen) + 1))
    assert materials.seen[-1].total == len(materials.seen)


def test_content_blurs_with_depth(materials):
    layers = ("relu1_1", "relu3_1", "relu5_1")
    found = studies.content_reconstruction(materials, with_layers(content_layers=layers))
    assert [row["layer"] for row in found.rows] == list(layers)
    similar = [row["ssim"] for row in found.rows]
    assert similar[0] > 0.8 and similar[0] > similar[1] > similar[2]
    assert list(found.sheet.columns) == ["photo", *layers]
    ((_, cells),) = found.sheet.rows
    photo, first = (cell.picture.astype(int) for cell in cells[:2])
    assert np.abs(photo - first).mean() < 20  # of noise it would be 85
    assert f"SSIM {similar[0]:.2f}" in cells[1].caption
    assert list(found.losses[0]) == ["iteration", *layers] and len(found.losses) == 40
    assert found.losses[-1]["relu1_1"] < 0.05 * found.losses[0]["relu1_1"]
    check_progress(materials)


def test_style_is_rebuilt_from_one_layer_and_from_all_up_to_it(materials):
    layers = ("relu1_1", "relu2_1", "relu3_1")
    found = studies.style_reconstruction(materials, with_layers(style_layers=layers))
    rows = {row["layers"]: row for row in found.rows}
    assert list(rows) == [*layers, "relu1_1 to relu2_1", "relu1_1 to relu3_1"]
    for layer in layers:  # from noise in 40 iterations, of which relu1_1 would need more
        assert rows[layer][f"style_{layer}"] < (0.4 if layer == "relu1_1" else 0.3)
    # The first layer knows nothing of what the third wants, together they have both.
    together = rows["relu1_1 to relu3_1"]
    assert together["style_relu3_1"] < 0.7 * rows["relu1_1"]["style_relu3_1"]
    assert together["style_relu1_1"] < 0.7 * rows["relu3_1"]["style_relu1_1"]
    alone, stacked = (cells for _, cells in found.sheet.rows)
    assert len(alone) == len(stacked) == len(found.sheet.columns) == 4 and alone[1] is stacked[1]
    check_progress(materials)


def test_feature_maps_are_those_of_channels_that_vary_in_both_and_differ(materials, compact):
    found = studies.feature_maps(materials, with_layers(content_layers=("relu2_1",), style_layers=("relu1_1",)))
    _, first, second = found.sheet.rows
    assert first[0].startswith("relu1_1") and second[0].startswith("relu2_1")
    assert [cell.caption for cell in first[1][:3]] == [cell.caption for cell in first[1][3:]]
    photo, style = studies._both(materials, SETTINGS)
    maps, other = (compact(picture, ["relu1_1"])["relu1_1"][0] for picture in (photo, style))
    chosen = [int(row["channel"]) for row in found.rows[:3]]
    (deviation,) = {round(maps[chosen[0]].std().item(), 4)}
    assert found.rows[0]["deviation"] == pytest.approx(deviation, abs=1e-3)
    inner = [m[:, m.shape[1] // 8 : -(m.shape[1] // 8), 8:-8].std((1, 2)) for m in (maps, other)]
    assert int((inner[0] * inner[1]).argmax()) == chosen[0] and len(set(chosen)) == 3
    alike = torch.corrcoef(maps[chosen].flatten(1)).abs() - torch.eye(3)
    strongest = torch.corrcoef(maps[(inner[0] * inner[1]).topk(3).indices].flatten(1)).abs() - torch.eye(3)
    assert alike.max() < 0.9 * strongest.max()  # those that vary most show much the same
    shown = torch.from_numpy(first[1][0].picture[..., 0].copy()).float().flatten()
    wanted = torch.nn.functional.interpolate(maps[chosen[0]][None, None], first[1][0].picture.shape[:2]).flatten()
    low = min(m[chosen[0], m.shape[1] // 8 : -(m.shape[1] // 8), 8:-8].min() for m in (maps, other))
    wanted = (wanted - low).clamp(min=0).sqrt()
    assert torch.corrcoef(torch.stack([shown, wanted]))[0, 1] > 0.99
    with pytest.raises(StyleError, match="no layer 'relu9_9'"):
        studies.feature_maps(materials, with_layers(content_layers=("relu9_9",)))


def test_lbfgs_leads_at_equal_iterations(materials):
    found = studies.optimizers(materials, SETTINGS)
    last = {row["optimizer"]: row["loss"] for row in found.rows if row["iterations"] == 40}
    assert last["L-BFGS"] < last["Adam, step decay"] < found.losses[0]["L-BFGS"]
    assert last["L-BFGS"] < last["gradient descent"] < 0.8 * found.losses[0]["gradient descent"]
    assert [row["iterations"] for row in found.rows[:4]] == [2, 8, 20, 40]
    assert len({losses for name, losses in found.losses[0].items() if name != "iteration"}) == 1  # one start
    check_progress(materials)


def test_more_content_weight_keeps_more_of_the_photo(materials):
    materials.content_weights = (0.01, 10.0)
    found = studies.weights(materials, replace(SETTINGS, iterations=10))
    depths = dict.fromkeys(row["style_layers"] for row in found.rows)
    assert list(depths) == ["relu1_1", "relu1_1 to relu3_1", "relu1_1 to relu5_1"]
    for depth in depths:
        little, much = (row for row in found.rows if row["style_layers"] == depth)
        assert much["content"] < little["content"] and much["ssim"] > little["ssim"]
    assert [len(cells) for _, cells in found.sheet.rows] == [2, 2, 2] and len(found.sheet.columns) == 2
    check_progress(materials)


def test_the_losses_of_the_layers_are_those_of_the_render(materials):
    weights = (1.0, 0.5, 2.0)
    settings = with_layers(style_layers=("relu1_1", "relu2_1", "relu3_1"), style_layer_weights=weights)
    settings = replace(settings, objective=replace(settings.objective, tv_weight=0.3))
    found = studies.losses(materials, settings)
    for row in found.losses:
        layers = [value for name, value in row.items() if name.startswith("style relu")]
        assert len(layers) == 3 and sum(layers) == pytest.approx(row["style"], rel=1e-4)
        assert row["content"] + row["style"] + row["tv"] == pytest.approx(row["total"], rel=1e-4)
    assert found.losses[0]["iteration"] == 0 and found.losses[0]["content"] == pytest.approx(0, abs=1e-6)
    assert found.losses[-1]["iteration"] == 40 and found.losses[-1]["total"] < 0.2 * found.losses[0]["total"]
    assert list(found.sheet.columns) == [f"iteration {n}" for n in (0, 5, 10, 20, 40)]
    assert found.rows[0]["ssim"] == pytest.approx(1)


def test_both_poolings_are_rendered_and_the_network_stays(materials, compact):
    found = studies.pooling(materials, replace(SETTINGS, iterations=5))
    assert [row["pooling"] for row in found.rows] == ["max", "average"] and compact.pooling == "max"
    ((_, cells),) = found.sheet.rows
    assert not np.array_equal(cells[2].picture, cells[3].picture)
    assert found.losses[0]["max pooling"] != found.losses[0]["average pooling"]


def test_starts(materials):
    found = studies.starts(materials, replace(SETTINGS, iterations=15))
    rows = {row["start"]: row for row in found.rows}
    noise, content, style = (rows[start] for start in ("noise", "content", "style"))
    assert content["content"] < style["content"] and content["ssim"] > max(noise["ssim"], style["ssim"])
    assert style["style_relu5_1"] < content["style_relu5_1"]
    begun = [cell.picture for cell in found.sheet.rows[0][1]]
    assert len({picture.shape for picture in begun}) == 1
