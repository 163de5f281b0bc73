"""The studies with which style transfer is explained: what each layer knows, and what each setting does.

All of them render (optimize.py) with some losses switched off, from a start of their own, or several times. A study is
a function from ``Materials`` and settings to ``Findings``, and all raise StyleError as ``render`` does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.iterative_settings import STARTS, IterativeSettings
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import VGGNetwork
from nst_core.iterative.render import IterativeProgress, first_picture, render
from nst_core.iterative.stages import plan_stages
from nst_core.losses.metrics import Judge
from nst_core.losses.objective import Objective
from nst_core.pictures.resize import resized_to_area, resized_to_long_side
from nst_core.studies.sheets import Cell, Findings, Row, Sheet

CONTENT_WEIGHTS = (0.01, 0.1, 1.0, 10.0)
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
# Contrast of the noise from which a layer is reconstructed. What a layer does not see stays as it was at the start:
# noise of full contrast would cover what it does see.
NOISE = 0.1
MAPS = 3
MAP_SIDE = 160  # pixels of a feature map's longer side on the sheet
LOSS_POINTS = 50


@dataclass(frozen=True)
class StudyProgress:
    """Reported after every iteration of a study: of which render, and how far the whole study is."""

    label: str
    done: int
    total: int
    losses: Mapping[str, float]


@dataclass
class Materials:
    """What a study works with, and whom it tells.

    ``photo`` and ``style`` are [1, 3, h, w] in 0..1; a study of one picture has it as both.
    """

    photo: Tensor
    style: Tensor
    network: FeatureNetwork
    progress: Callable[[StudyProgress], None]
    content_weights: Sequence[float] = CONTENT_WEIGHTS


@dataclass
class _Renders:
    """Several renders as one piece of work."""

    materials: Materials
    total: int
    _done: int = field(default=0, init=False)

    def __call__(
        self,
        label: str,
        settings: IterativeSettings,
        *,
        network: FeatureNetwork | None = None,
        photo: Tensor | None = None,
        keep: Iterable[int] = (),
    ) -> tuple[Tensor, list[dict[str, float]], dict[int, Tensor]]:
        """The last picture, the losses before each iteration, and the pictures after those of ``keep``."""
        losses: list[dict[str, float]] = []
        kept: dict[int, Tensor] = {}
        wanted = set(keep)

        def progress(step: IterativeProgress) -> bool:
            losses.append({"iteration": step.iteration - 1, **step.losses})
            if step.iteration in wanted:
                kept[step.iteration] = step.image.clone()
            self._done += 1
            self.materials.progress(StudyProgress(label, self._done, self.total, step.losses))
            return True

        m = self.materials
        photo = m.photo if photo is None else photo
        done = render(photo, m.style, network or m.network, settings, progress)
        return done.image, losses, kept


# ---- what a layer knows -----------------------------------------------------------------------------------------


def content_reconstruction(materials: Materials, settings: IterativeSettings) -> Findings:
    """The photo painted from faint noise so that one content layer answers as to the photo, for each of them."""
    layers = settings.objective.content_layers
    settings = replace(settings, start="noise", noise=NOISE)
    renders = _Renders(materials, len(layers) * settings.iterations)
    photo = resized_to_long_side(materials.photo, settings.size)
    cells, rows, losses = [_cell(photo)], list[Row](), []
    for layer in layers:
        objective = replace(
            settings.objective,
            content_layers=(layer,),
            content_layer_weights=(),
            content_weight=1.0,
            style_layers=(layer,),  # one has to be there, and this one costs no convolution more
            style_layer_weights=(),
            style_weight=0.0,
        )
        image, run, _ = renders(layer, replace(settings, objective=objective))
        found = Judge(materials.network, photo, None, (layer,), ())(image)
        losses.append((layer, run))
        rows.append({"layer": layer, "iterations": settings.iterations, **found})
        cells.append(_cell(image, f"feature error {found['content']:.3f}{_ssim(found)}"))
    title = f"Content reconstructed from noise, {_how(materials, settings)}"
    return Findings(Sheet(title, ["photo", *layers], [("", cells)]), rows, _side_by_side(losses))


def style_reconstruction(materials: Materials, settings: IterativeSettings) -> Findings:
    """Texture painted from faint noise to the Gram matrices of the style picture: of one layer, and of all up to it."""
    layers = settings.objective.style_layers
    weights = settings.objective.weights_by_layer
    alone = [(layer,) for layer in layers]
    stacked = [layers[: n + 1] for n in range(1, len(layers))]
    renders = _Renders(materials, (len(alone) + len(stacked)) * settings.iterations)
    style = resized_to_long_side(materials.style, settings.size)
    settings = replace(settings, start="noise", noise=NOISE)
    noise = first_picture(style, style, settings)
    judge = Judge(materials.network, noise, style, (), layers)
    rows, losses, cells = list[Row](), [], dict[tuple[str, ...], Cell]()
    for chosen in [*alone, *stacked]:
        name = chosen[0] if len(chosen) == 1 else f"{chosen[0]} to {chosen[-1]}"
        objective = replace(
            settings.objective,
            content_layers=chosen[:1],
            content_layer_weights=(),
            content_weight=0.0,
            style_layers=chosen,
            style_layer_weights=tuple(weights[layer] for layer in chosen),
        )
        image, run, _ = renders(name, replace(settings, objective=objective), photo=style)
        found = {key: value for key, value in judge(image).items() if key.startswith(("style", "colour_style"))}
        left = sum(found[f"style_{layer}"] for layer in chosen) / len(chosen)
        losses.append((name, run))
        rows.append({"layers": name, "iterations": settings.iterations, **found})
        cells[chosen] = _cell(image, f"style distance {left:.3f}")
    title = f"Style reconstructed from noise, {_how(materials, settings)}"
    # The first layer up to itself is the first layer alone.
    stacked_cells = [_cell(noise, "the noise\nstyle distance 1"), *(cells[layers[: n + 1]] for n in range(len(layers)))]
    sheet_rows = [
        (
            "one layer alone",
            [_cell(style, "the style picture\nstyle distance 0"), *(cells[chosen] for chosen in alone)],
        ),
        ("all layers up to it", stacked_cells),
    ]
    return Findings(Sheet(title, ["", *layers], sheet_rows), rows, _side_by_side(losses))


def feature_maps(materials: Materials, settings: IterativeSettings) -> Findings:
    """How a few channels of each layer answer to the photo and to the style picture.

    The layers are the style's and the content's, and the channels those that ``_telling`` chooses. A map runs from
    black, the least that the channel answers to either picture, to white, the most; between the two its grey is the
    root of the answer, since a few strong answers would leave the rest in the dark.
    """
    photo, style = _both(materials, settings)
    materials.network.check(settings.objective.layers)
    layers = sorted(settings.objective.layers, key=materials.network.layers.index)
    with torch.no_grad():
        answers = [materials.network(picture, layers) for picture in (photo, style)]
    sheet_rows: list[tuple[str, list[Cell | None]]] = []
    rows = list[Row]()
    for number, layer in enumerate(layers, 1):
        pair = [answer[layer][0] for answer in answers]
        channels = _telling(pair)
        cells: list[Cell | None] = []
        for name, maps in zip(("photo", "style"), pair, strict=True):
            for channel in channels:
                both = torch.cat([_inside(m)[channel].flatten() for m in pair])
                low, high = both.min().item(), both.max().item()
                grey = ((maps[channel] - low) / max(high - low, 1e-12)).clamp(0, 1).sqrt()
                h, w = grey.shape
                scale = MAP_SIDE / max(h, w)
                shown = F.interpolate(grey[None, None], (max(1, round(h * scale)), max(1, round(w * scale))))
                cells.append(_cell(shown.expand(-1, 3, -1, -1), f"channel {channel}"))
                active = (maps[channel] > 0).float().mean().item()
                numbers = {"mean": maps[channel].mean().item(), "deviation": maps[channel].std().item()}
                rows.append({"layer": layer, "picture": name, "channel": str(channel), **numbers, "active": active})
        channels_in_all, height, width = pair[0].shape
        sheet_rows.append((f"{layer}\n{channels_in_all} channels, {width}x{height} of the photo", cells))
        materials.progress(StudyProgress(layer, number, len(layers), {}))
    columns = [name for picture in ("photo", "style picture") for name in (picture, *[""] * (MAPS - 1))]
    first: list[Cell | None] = [None] * (2 * MAPS)
    first[0], first[MAPS] = (_cell(resized_to_long_side(picture, MAP_SIDE)) for picture in (photo, style))
    title = f"{MAPS} channels of each layer that vary in both, with {materials.network.name} at {settings.size} px"
    return Findings(Sheet(title, columns, [("the pictures", first), *sheet_rows]), rows)


# ---- what a setting does ----------------------------------------------------------------------------------------


def optimizers(materials: Materials, settings: IterativeSettings) -> Findings:
    """The same render by gradient descent, Adam with step decay and L-BFGS, looked at after equal iterations.

    Gradient descent and Adam each take that of RATES which gets furthest in a quarter of the iterations, with its
    schedule drawn together; L-BFGS takes its steps whole. Those tries are not counted among the iterations.
    """
    steps = settings.iterations
    trial = max(1, steps // 4)
    # The picture stays where it is for all three, as L-BFGS wants it.
    still = replace(settings, shift=0)
    descent, adam = replace(still, optimizer="sgd"), replace(still, optimizer="adam", schedule="step")
    renders = _Renders(materials, 2 * len(RATES) * trial + 3 * steps)
    photo, style = _both(materials, settings)
    objective = Objective(materials.network, settings.objective, [style])
    targets = objective.content_targets(photo)
    judge = _judge(materials, settings)

    def loss(image: Tensor) -> float:
        with torch.no_grad():
            return objective(image, targets)["total"].item()

    def at_its_best_rate(name: str, one: IterativeSettings) -> IterativeSettings:
        def tried(rate: float) -> float:
            return loss(renders(f"{name}, rate {rate:g}", replace(one, learning_rate=rate, iterations=trial))[0])

        return replace(one, learning_rate=min(RATES, key=tried))

    chosen = {
        "gradient descent": at_its_best_rate("gradient descent", descent),
        "Adam, step decay": at_its_best_rate("Adam", adam),
        "L-BFGS": replace(still, optimizer="lbfgs"),
    }
    moments = sorted({max(1, steps // 20), max(1, steps // 5), max(1, steps // 2), steps})
    rows, sheet_rows, losses = list[Row](), [], []
    for name, one in chosen.items():
        _, run, kept = renders(name, one, keep=moments)
        losses.append((name, run))
        cells = []
        for moment, image in kept.items():
            total = loss(image)
            cells.append(_cell(image, f"loss {total:.3f}"))
            rows.append({"optimizer": name, "iterations": moment, "loss": total, **judge(image)})
        sheet_rows.append((name if one.optimizer == "lbfgs" else f"{name}\nrate {one.learning_rate:g}", cells))
    title = f"Optimisers at equal iterations from the photo, with {materials.network.name} at {settings.size} px"
    columns = [f"{moment} iteration{'s' * (moment > 1)}" for moment in moments]
    return Findings(Sheet(title, columns, sheet_rows), rows, _side_by_side(losses))


def weights(materials: Materials, settings: IterativeSettings) -> Findings:
    """Content weights across and style layers down, after figure 3 of Gatys et al. 2015."""
    layers, by_layer = settings.objective.style_layers, settings.objective.weights_by_layer
    depths = sorted({1, (len(layers) + 1) // 2, len(layers)})
    renders = _Renders(materials, len(depths) * len(materials.content_weights) * settings.iterations)
    judge = _judge(materials, settings)
    rows, sheet_rows = list[Row](), []
    for depth in depths:
        chosen = layers[:depth]
        name = chosen[0] if depth == 1 else f"{chosen[0]} to {chosen[-1]}"
        cells = []
        for weight in materials.content_weights:
            objective = replace(
                settings.objective,
                content_weight=weight,
                style_layers=chosen,
                style_layer_weights=tuple(by_layer[layer] for layer in chosen),
            )
            image, run, _ = renders(f"{name}, content {weight:g}", replace(settings, objective=objective))
            found = judge(image)
            cells.append(_cell(image, _in_short(found)))
            rows.append({"style_layers": name, "content_weight": weight, "loss": run[-1]["total"], **found})
        sheet_rows.append((f"style layers {name}", cells))
    title = f"Content weights across, style layers down, {_how(materials, settings)}"
    style_weight = settings.objective.style_weight
    columns = [f"content {weight:g} to style {style_weight:g}" for weight in materials.content_weights]
    return Findings(Sheet(title, columns, sheet_rows), rows)


def losses(materials: Materials, settings: IterativeSettings) -> Findings:
    """One render step by step: its pictures, and all its losses, that of each style layer among them."""
    steps = settings.iterations
    moments = sorted({n for n in (5, 10, steps // 4, steps // 2, steps) if 0 < n <= steps})
    points = sorted({round(n) for n in np.linspace(1, steps, min(steps, LOSS_POINTS))} | set(moments))
    renders = _Renders(materials, steps)
    photo, style = _both(materials, settings)
    judge = _judge(materials, settings)
    whole = Objective(materials.network, settings.objective, [style])
    targets = whole.content_targets(photo)
    # Each style layer as it counts in the whole.
    single = {}
    for layer, weight in settings.objective.weights_by_layer.items():
        only = replace(
            settings.objective,
            content_layers=(layer,),
            content_layer_weights=(),
            style_layers=(layer,),
            style_layer_weights=(weight,),
        )
        one = Objective(materials.network, only, [style])
        single[f"style {layer}"] = (one, one.content_targets(photo))

    @torch.no_grad()
    def measured(image: Tensor) -> dict[str, float]:
        found = {name: value.item() for name, value in whole(image, targets).items()}
        return found | {name: one(image, own)["style"].item() for name, (one, own) in single.items()}

    _, _, kept = renders("render", settings, keep=points)
    kept = {0: photo, **kept}
    table: list[dict[str, float]] = [{"iteration": moment, **measured(image)} for moment, image in kept.items()]
    shown = [0, *moments]
    found = {row["iteration"]: row for row in table}
    cells = [_cell(kept[n], f"total {found[n]['total']:.3f}\ncontent {found[n]['content']:.3f}") for n in shown]
    rows: list[Row] = [{**found[n], **judge(kept[n])} for n in shown]
    title = f"A render step by step, {_how(materials, settings)}"
    return Findings(Sheet(title, [f"iteration {n}" for n in shown], [("", cells)]), rows, table)


def pooling(materials: Materials, settings: IterativeSettings) -> Findings:
    """The same render with maximum and with average pooling; both are judged by the features as they were given."""
    renders = _Renders(materials, 2 * settings.iterations)
    photo, style = _both(materials, settings)
    judge = _judge(materials, settings)
    rows, cells, runs = list[Row](), [_cell(photo), _cell(style)], []
    for name in ("max", "average"):
        network = _pooled(materials.network, name)
        image, run, _ = renders(f"{name} pooling", settings, network=network)
        found = judge(image)
        cells.append(_cell(image, _in_short(found)))
        rows.append({"pooling": name, "loss": run[-1]["total"], **found})
        runs.append((f"{name} pooling", run))
    columns = ["photo", "style picture", "maximum pooling", "average pooling"]
    title = f"Maximum and average pooling, {_how(materials, settings)}"
    return Findings(Sheet(title, columns, [("", cells)]), rows, _side_by_side(runs))


def starts(materials: Materials, settings: IterativeSettings) -> Findings:
    """The same render begun with noise, with the photo and with the style picture."""
    photo = resized_to_long_side(materials.photo, settings.size)
    renders = _Renders(materials, len(STARTS) * settings.iterations)
    judge = _judge(materials, settings)
    rows, begun, cells, runs = list[Row](), list[Cell](), list[Cell](), []
    for start in STARTS:
        name, chosen = f"from {start}", replace(settings, start=start)
        image, run, _ = renders(name, chosen)
        found = judge(image)
        cells.append(_cell(image, f"loss {run[-1]['total']:.3f}\n{_in_short(found)}"))
        begun.append(_cell(first_picture(photo, materials.style, chosen)))
        rows.append({"start": start, "loss": run[-1]["total"], **found})
        runs.append((name, run))
    sheet_rows = [("the start", begun), ("the result", cells)]
    title = f"Starts compared, {_how(materials, settings)}"
    return Findings(Sheet(title, [name for name, _ in runs], sheet_rows), rows, _side_by_side(runs))


# ---- what they share --------------------------------------------------------------------------------------------


def _both(materials: Materials, settings: IterativeSettings) -> tuple[Tensor, Tensor]:
    """Photo and style picture at the sizes that a render gives them."""
    photo = resized_to_long_side(materials.photo, settings.size)
    h, w = photo.shape[-2:]
    return photo, resized_to_area(materials.style, settings.style_scale * (h * w) ** 0.5)


def _judge(materials: Materials, settings: IterativeSettings) -> Judge:
    objective = settings.objective
    return Judge(materials.network, *_both(materials, settings), objective.content_layers, objective.style_layers)


def _inside(maps: Tensor) -> Tensor:
    """[C, h, w] without its outer eighths, where zeros beyond the picture's border are all that some channels see."""
    h, w = maps.shape[-2:]
    return maps[:, h // 8 : h - h // 8, w // 8 : w - w // 8]


def _telling(pair: Sequence[Tensor]) -> list[int]:
    """MAPS channels of two pictures' features [C, h, w]: they vary in both, and none shows what another one does.

    Each is the channel of the largest product of the two deviations, once what the channels before it explain is
    subtracted (a pivoted Gram-Schmidt process).
    """
    unexplained = [maps - maps.mean(1, keepdim=True) for maps in (_inside(maps).flatten(1) for maps in pair)]
    channels = []
    for _ in range(MAPS):
        channels.append(int(torch.stack([rest.std(1) for rest in unexplained]).prod(0).argmax()))
        directions = [F.normalize(rest[channels[-1]], dim=0) for rest in unexplained]
        unexplained = [rest - torch.outer(rest @ d, d) for rest, d in zip(unexplained, directions, strict=True)]
    return channels


def _pooled(network: FeatureNetwork, pooling: str) -> FeatureNetwork:
    """A copy of the network that pools so."""
    twin = copy.deepcopy(network)
    for module in twin.modules():
        if isinstance(module, VGGNetwork):
            module.pooling = pooling
    return twin


def _side_by_side(runs: Sequence[tuple[str, Sequence[Mapping[str, float]]]]) -> list[dict[str, float]]:
    """The total losses of several renders of equal length as columns."""
    return [
        {
            "iteration": steps[0]["iteration"],
            **{name: step["total"] for (name, _), step in zip(runs, steps, strict=True)},
        }
        for steps in zip(*(run for _, run in runs), strict=True)
    ]


def _how(materials: Materials, settings: IterativeSettings) -> str:
    kind = {"lbfgs": "L-BFGS", "adam": "Adam", "sgd": "gradient descent"}
    stages = plan_stages(materials.network, settings, 1, 1)
    optimizers = " and ".join(dict.fromkeys(kind[stage.optimizer] for stage in stages))
    return f"{settings.iterations} iterations of {optimizers} with {materials.network.name} at {settings.size} px"


def _in_short(found: Mapping[str, float]) -> str:
    styles = [value for name, value in found.items() if name.startswith("style_")]
    return f"content {found['content']:.2f}\nstyle {sum(styles) / len(styles):.2f}"


def _ssim(found: Mapping[str, float]) -> str:
    return f"\nSSIM {found['ssim']:.2f}" if "ssim" in found else ""


def _cell(image: Tensor, caption: str = "") -> Cell:
    """Of [1, 3, h, w] in 0..1."""
    picture = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Cell(np.ascontiguousarray(picture), caption)
