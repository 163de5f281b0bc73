"""A study of the activations of a few channels in each layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.pictures.resize import resized_to_long_side
from nst_core.studies.sheets import Cell, Findings, Row, Sheet
from nst_core.studies.study_renders import StudyInputs, StudyProgress, cell

MAPS = 3
MAP_SIDE = 160  # pixels of a feature map's longer side on the sheet


def feature_maps(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Show a few channels of each layer for the photo and for the style picture.

    The layers are those of style and content, and the channels those that ``_distinct_channels`` chooses. A map runs
    from black, the channel's least activation for either picture, to white, its greatest. Its grey is the square root
    of the activation, since a few strong activations would leave the rest dark.
    """
    photo, style = inputs.pair(settings)
    inputs.network.check(settings.objective.layers)
    layers = sorted(settings.objective.layers, key=inputs.network.layers.index)
    with torch.no_grad():
        features = [inputs.network(picture, layers) for picture in (photo, style)]
    sheet_rows: list[tuple[str, list[Cell | None]]] = []
    rows = list[Row]()
    for number, layer in enumerate(layers, 1):
        pair = [of_picture[layer][0] for of_picture in features]
        channels = _distinct_channels(pair)
        cells: list[Cell | None] = []
        for name, maps in zip(("photo", "style"), pair, strict=True):
            for channel in channels:
                cells.append(cell(_as_grey(maps[channel], _range(pair, channel)), f"channel {channel}"))
                active = (maps[channel] > 0).float().mean().item()
                numbers = {"mean": maps[channel].mean().item(), "deviation": maps[channel].std().item()}
                rows.append({"layer": layer, "picture": name, "channel": str(channel), **numbers, "active": active})
        count, height, width = pair[0].shape
        sheet_rows.append((f"{layer}\n{count} channels, {width}x{height} of the photo", cells))
        inputs.progress(StudyProgress(layer, number, len(layers), {}))
    columns = [name for picture in ("photo", "style picture") for name in (picture, *[""] * (MAPS - 1))]
    first: list[Cell | None] = [None] * (2 * MAPS)
    first[0], first[MAPS] = (cell(resized_to_long_side(picture, MAP_SIDE)) for picture in (photo, style))
    title = f"{MAPS} channels of each layer that vary in both, with {inputs.network.name} at {settings.size} px"
    return Findings(Sheet(title, columns, [("the pictures", first), *sheet_rows]), rows)


def _range(pair: Sequence[Tensor], channel: int) -> tuple[float, float]:
    """Return the least and the greatest activation of a channel in the inner parts of both pictures."""
    both = torch.cat([_inner_part(maps)[channel].flatten() for maps in pair])
    return both.min().item(), both.max().item()


def _as_grey(channel: Tensor, limits: tuple[float, float]) -> Tensor:
    """Return activations [h, w] between ``limits`` as a grey picture [1, 3, H, W] of MAP_SIDE pixels."""
    low, high = limits
    grey = ((channel - low) / max(high - low, 1e-12)).clamp(0, 1).sqrt()
    h, w = grey.shape
    scale = MAP_SIDE / max(h, w)
    shown = F.interpolate(grey[None, None], (max(1, round(h * scale)), max(1, round(w * scale))))
    return shown.expand(-1, 3, -1, -1)


def _inner_part(maps: Tensor) -> Tensor:
    """Return [C, h, w] without its outer eighths, where some channels respond to the zero padding alone."""
    h, w = maps.shape[-2:]
    return maps[:, h // 8 : h - h // 8, w // 8 : w - w // 8]


def _distinct_channels(pair: Sequence[Tensor]) -> list[int]:
    """Choose MAPS channels, from two pictures' features [C, h, w], that vary in both and differ from one another.

    Each is the channel with the largest product of its two deviations, after the part that the channels before it
    explain is subtracted (a pivoted Gram-Schmidt process).
    """
    unexplained = [maps - maps.mean(1, keepdim=True) for maps in (_inner_part(maps).flatten(1) for maps in pair)]
    channels = []
    for _ in range(MAPS):
        channels.append(int(torch.stack([rest.std(1) for rest in unexplained]).prod(0).argmax()))
        directions = [F.normalize(rest[channels[-1]], dim=0) for rest in unexplained]
        unexplained = [rest - torch.outer(rest @ d, d) for rest, d in zip(unexplained, directions, strict=True)]
    return channels
