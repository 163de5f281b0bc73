import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.studies.feature_maps import feature_maps


def test_feature_maps_are_of_channels_that_vary_in_both_and_differ(inputs, settings, with_layers, compact):
    findings = feature_maps(inputs, with_layers(content_layers=("relu2_1",), style_layers=("relu1_1",)))
    _, first, second = findings.sheet.rows
    assert first[0].startswith("relu1_1") and second[0].startswith("relu2_1")
    assert [cell.caption for cell in first[1][:3]] == [cell.caption for cell in first[1][3:]]
    photo, style = inputs.pair(settings)
    maps, other = (compact(picture, ["relu1_1"])["relu1_1"][0] for picture in (photo, style))
    chosen = [int(row["channel"]) for row in findings.rows[:3]]
    (deviation,) = {round(maps[chosen[0]].std().item(), 4)}
    assert findings.rows[0]["deviation"] == pytest.approx(deviation, abs=1e-3)
    inner = [m[:, m.shape[1] // 8 : -(m.shape[1] // 8), 8:-8].std((1, 2)) for m in (maps, other)]
    assert int((inner[0] * inner[1]).argmax()) == chosen[0] and len(set(chosen)) == 3
    correlation = torch.corrcoef(maps[chosen].flatten(1)).abs() - torch.eye(3)
    strongest = torch.corrcoef(maps[(inner[0] * inner[1]).topk(3).indices].flatten(1)).abs() - torch.eye(3)
    assert correlation.max() < 0.9 * strongest.max()  # the channels that vary most are similar
    shown = torch.from_numpy(first[1][0].picture[..., 0].copy()).float().flatten()
    wanted = torch.nn.functional.interpolate(maps[chosen[0]][None, None], first[1][0].picture.shape[:2]).flatten()
    low = min(m[chosen[0], m.shape[1] // 8 : -(m.shape[1] // 8), 8:-8].min() for m in (maps, other))
    wanted = (wanted - low).clamp(min=0).sqrt()
    assert torch.corrcoef(torch.stack([shown, wanted]))[0, 1] > 0.99
    with pytest.raises(StyleError, match="no layer 'relu9_9'"):
        feature_maps(inputs, with_layers(content_layers=("relu9_9",)))
