from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.studies.loss_curves import losses


def test_layer_losses_add_up_to_the_style_loss(inputs, with_layers):
    weights = (1.0, 0.5, 2.0)
    chosen = with_layers(style_layers=("relu1_1", "relu2_1", "relu3_1"), style_layer_weights=weights)
    chosen = replace(chosen, objective=replace(chosen.objective, tv_weight=0.3))
    findings = losses(inputs, chosen)
    for row in findings.losses:
        layers = [value for name, value in row.items() if name.startswith("style relu")]
        assert len(layers) == 3 and sum(layers) == pytest.approx(row["style"], rel=1e-4)
        assert row["content"] + row["style"] + row["tv"] == pytest.approx(row["total"], rel=1e-4)
    assert findings.losses[0]["iteration"] == 0 and findings.losses[0]["content"] == pytest.approx(0, abs=1e-6)
    assert findings.losses[-1]["iteration"] == 40 and findings.losses[-1]["total"] < 0.2 * findings.losses[0]["total"]
    assert list(findings.sheet.columns) == [f"iteration {n}" for n in (0, 5, 10, 20, 40)]
    assert findings.rows[0]["ssim"] == pytest.approx(1)
