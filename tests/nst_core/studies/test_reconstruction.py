import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.studies.reconstruction import content_reconstruction, style_reconstruction


def test_content_of_deeper_layers_is_blurred(inputs, with_layers, check_progress):
    layers = ("relu1_1", "relu3_1", "relu5_1")
    findings = content_reconstruction(inputs, with_layers(content_layers=layers))
    assert [row["layer"] for row in findings.rows] == list(layers)
    similar = [row["ssim"] for row in findings.rows]
    assert similar[0] > 0.8 and similar[0] > similar[1] > similar[2]
    assert list(findings.sheet.columns) == ["photo", *layers]
    ((_, cells),) = findings.sheet.rows
    photo, first = (cell.picture.astype(int) for cell in cells[:2])
    assert np.abs(photo - first).mean() < 20  # noise would give 85
    assert f"SSIM {similar[0]:.2f}" in cells[1].caption
    assert list(findings.losses[0]) == ["iteration", *layers] and len(findings.losses) == 40
    assert findings.losses[-1]["relu1_1"] < 0.05 * findings.losses[0]["relu1_1"]
    check_progress()


def test_style_is_rebuilt_from_one_layer_and_from_all_up_to_it(inputs, with_layers, check_progress):
    layers = ("relu1_1", "relu2_1", "relu3_1")
    findings = style_reconstruction(inputs, with_layers(style_layers=layers))
    rows = {row["layers"]: row for row in findings.rows}
    assert list(rows) == [*layers, "relu1_1 to relu2_1", "relu1_1 to relu3_1"]
    for layer in layers:  # 40 iterations from noise are few for relu1_1
        assert rows[layer][f"style_{layer}"] < (0.4 if layer == "relu1_1" else 0.3)
    # Each layer alone leaves the other's style distance large; together they reduce both.
    together = rows["relu1_1 to relu3_1"]
    assert together["style_relu3_1"] < 0.7 * rows["relu1_1"]["style_relu3_1"]
    assert together["style_relu1_1"] < 0.7 * rows["relu3_1"]["style_relu1_1"]
    alone, stacked = (cells for _, cells in findings.sheet.rows)
    assert len(alone) == len(stacked) == len(findings.sheet.columns) == 4 and alone[1] is stacked[1]
    check_progress()
