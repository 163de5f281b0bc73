from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.studies.setting_comparison import pooling, starts, weights


def test_more_content_weight_keeps_more_of_the_photo(inputs, settings, check_progress):
    inputs = replace(inputs, content_weights=(0.01, 10.0))
    findings = weights(inputs, replace(settings, iterations=10))
    depths = dict.fromkeys(row["style_layers"] for row in findings.rows)
    assert list(depths) == ["relu1_1", "relu1_1 to relu3_1", "relu1_1 to relu5_1"]
    for depth in depths:
        little, much = (row for row in findings.rows if row["style_layers"] == depth)
        assert much["content"] < little["content"] and much["ssim"] > little["ssim"]
    assert [len(cells) for _, cells in findings.sheet.rows] == [2, 2, 2] and len(findings.sheet.columns) == 2
    check_progress()


def test_both_poolings_are_rendered_and_the_network_stays(inputs, settings, compact):
    findings = pooling(inputs, replace(settings, iterations=5))
    assert [row["pooling"] for row in findings.rows] == ["max", "average"] and compact.pooling == "max"
    ((_, cells),) = findings.sheet.rows
    assert not np.array_equal(cells[2].picture, cells[3].picture)
    assert findings.losses[0]["max pooling"] != findings.losses[0]["average pooling"]


def test_each_start_stays_closest_to_its_own_picture(inputs, settings):
    findings = starts(inputs, replace(settings, iterations=15))
    rows = {row["start"]: row for row in findings.rows}
    noise, content, style = (rows[start] for start in ("noise", "content", "style"))
    assert content["content"] < style["content"] and content["ssim"] > max(noise["ssim"], style["ssim"])
    assert style["style_relu5_1"] < content["style_relu5_1"]
    begun = [cell.picture for cell in findings.sheet.rows[0][1]]
    assert len({picture.shape for picture in begun}) == 1
