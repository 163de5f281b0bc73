"""What a style is measured by, quickly: faces kept, content, style, colour, mesh, border, flicker, the objective.

    python -m trials.measure OUT NAME=FILE ... [--details 100,50,0] [--sheet]

FILE is a style file or a checkpoint, NAME one of benchmarks.quality.PAINTINGS; NAME@TAG=FILE gives it a tag. Of a
network of two rows (0 faithful, 1 bold) each of --details is a mixture: 100 is the first row, 0 the second. Lines go
to standard output and OUT/measured.jsonl; --sheet writes OUT/NAME.TAG.png too.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import cache
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from benchmarks.quality import PAINTINGS, load_named, trained_with
from export.from_onnx import read_base
from nst_core.losses import gram_matrix, relative_square_error
from nst_core.metrics import colour_distance, look
from nst_core.objective import Objective
from nst_core.photos import Photos
from nst_core.pictures import resized_to_long_side
from nst_core.settings import GATYS_STYLE_LAYERS
from nst_core.train import load_checkpoint, style_picture
from nst_core.transformer import TransformerNetwork
from plugin.engine.style_library import find_styles

SHARED = Path("/work/shared")
DATA = Path(__file__).parent / "data"
FEATURES = "vgg19_conv1_1-conv3_4_caffe+vgg19_distilled16x_conv5_1"
QUICK = False  # half the photos, and noise on those where it shows most
NOISY = ("boston_hires", "golden_gate", "hoovertowernight")
LANDSCAPES = ("tubingen", "golden_gate", "taj_mahal")
CONTENT = ("relu3_1", "relu4_1")
PORTRAITS = 6
CASCADE = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"


def tensor(path: Path, side: int = 512) -> Tensor:
    image = np.asarray(Image.open(path).convert("RGB"))
    return resized_to_long_side(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255, side).clamp(0, 1)


def pixels(picture: Tensor) -> np.ndarray:
    return (picture[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


@cache
def face_photos() -> list[tuple[str, Tensor]]:
    lines = (SHARED / "photos/faces.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    found = []
    for number, name in enumerate(names):
        folder = "train" if number < len(names) - 1 else "holdout"
        found.append((name, tensor(DATA / folder / name)))
    return found


def detected(picture: np.ndarray, neighbours: int, least: int = 0) -> list[tuple[int, int, int, int]]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    cascade = cv2.CascadeClassifier(CASCADE)
    return [tuple(map(int, b)) for b in cascade.detectMultiScale(grey, 1.05, neighbours, minSize=(least, least))]


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inside = max(0, w) * max(0, h)
    return inside / (a[2] * a[3] + b[2] * b[3] - inside)


@cache
def faces() -> list[tuple[int, int, int, int] | None]:
    found = [detected(pixels(photo), 8, 48) for _, photo in face_photos()]
    return [max(boxes, key=lambda b: b[2] * b[3]) if boxes else None for boxes in found]


@cache
def every_photo() -> list[tuple[str, Tensor]]:
    files = sorted((SHARED / "photos/eval").glob("*.jpg"))
    kept = [(file.stem, tensor(file)) for file in files if file.stem not in ("hires_a", "hires_b")]
    return kept


def eval_photos() -> list[tuple[str, Tensor]]:
    return every_photo()[::2] if QUICK else every_photo()


@cache
def features():
    return load_named(FEATURES, SHARED / "weights")


@cache
@torch.no_grad()
def photo_features() -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Content features and plain Gram matrices of each of the photos."""
    found = []
    for _, photo in eval_photos():
        seen = features()(photo, GATYS_STYLE_LAYERS)
        found.append(({k: seen[k] for k in CONTENT}, {k: gram_matrix(v) for k, v in seen.items()}))
    return found


def network_in(file: Path) -> TransformerNetwork:
    network = load_checkpoint(file).network if file.suffix == ".checkpoint" else read_base(file).network
    return network.eval().to(memory_format=torch.channels_last)


@torch.no_grad()
def painted(network: TransformerNetwork, photo: Tensor, detail: float) -> Tensor:
    rows = network.settings.styles
    weights = torch.ones(1, 1) if rows == 1 else torch.tensor([[detail, 1 - detail]])
    return network(photo.contiguous(memory_format=torch.channels_last), weights).contiguous()


def faces_kept(network: TransformerNetwork, detail: float) -> int:
    kept = 0
    for (_, photo), face in zip(face_photos(), faces(), strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            result = painted(network, photo, detail).float()
        # None that is smaller overlaps a face of 48 pixels by so much.
        boxes = detected(pixels(result), 3, 26)
        kept += face is not None and any(overlap(face, box) > 0.3 for box in boxes)
    return kept


@cache
@torch.no_grad()
def style_features(name: str) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Objective]:
    """The painting at 512 pixels, its plain Gram matrices; means and centred ones as in training; the objective."""
    (style,) = find_styles(name)
    settings = trained_with(style)
    painting = tensor(SHARED / "styles" / PAINTINGS[name])
    plain = {k: gram_matrix(v) for k, v in features()(painting, GATYS_STYLE_LAYERS).items()}
    seen = style_picture(raw(name), settings)
    trained = features()(seen, GATYS_STYLE_LAYERS)
    means = {k: v.mean((2, 3), keepdim=True) for k, v in trained.items()}
    centred = {k: gram_matrix(v, means[k]) for k, v in trained.items()}
    return painting, plain, means, centred, Objective(features(), settings.objective, [seen])


@torch.no_grad()
def measured(name: str, network: TransformerNetwork, detail: float, only_objective: bool = False) -> dict[str, float]:
    painting, plain, means, centred, bold = style_features(name)
    if only_objective:
        return {"objective": objective(network, detail, bold)}
    found = {"faces": faces_kept(network, detail)}
    rows, noise = [], torch.Generator().manual_seed(0)
    for (_, photo), (content, grams) in zip(eval_photos(), photo_features(), strict=True):
        result = painted(network, photo, detail)
        with torch.autocast("cpu", torch.bfloat16):
            seen = {k: v.float() for k, v in features()(result, GATYS_STYLE_LAYERS).items()}
        mine = {k: gram_matrix(v) for k, v in seen.items()}
        rows.append(
            {
                "content": fmean(((seen[k] - v).norm() / v.norm()).item() for k, v in content.items()),
                "style": fmean(((mine[k] - v).norm() / (grams[k] - v).norm()).item() for k, v in plain.items()),
                "centred": sum(
                    w * relative_square_error(gram_matrix(seen[k], means[k]), centred[k]).item()
                    for k, w in bold.settings.weights_by_layer.items()
                ),
                "colour_style": colour_distance(result[0], painting[0]),
                **look(result[0], photo[0]),
            }
        )
    found |= {key: fmean(row[key] for row in rows) for key in rows[0]}
    shaken = []
    for shown, whole in every_photo():
        if QUICK and shown not in NOISY:
            continue
        photo = resized_to_long_side(whole, 448)[..., :288, :].clamp(0, 1)
        noisy = [(photo + torch.randn(photo.shape, generator=noise) * (2 / 255)).clamp(0, 1) for _ in range(2)]
        a, b = (painted(network, picture, detail) for picture in noisy)
        shaken.append((a - b).abs().mean().item() * 255)
    found |= {"flicker": fmean(shaken), "flicker_max": max(shaken)}
    return found | {"objective": objective(network, detail, bold)}


@torch.no_grad()
def objective(network: TransformerNetwork, detail: float, bold: Objective) -> float:
    """That of docs/quality.md."""
    with torch.autocast("cpu", torch.bfloat16):
        small = [(painted(network, photo, detail).float(), bold.content_targets(photo)) for photo in small_photos()]
        return fmean(bold(result, targets)["total"].item() for result, targets in small)


@cache
def raw(name: str) -> Tensor:
    image = np.asarray(Image.open(SHARED / "styles" / PAINTINGS[name]).convert("RGB"))
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


@cache
def small_photos() -> list[Tensor]:
    photos = Photos(SHARED / "photos/holdout.tar", 48)
    return [resized_to_long_side(photos.whole(n * len(photos) // 8), 256) for n in range(8)]


def sheet(network: TransformerNetwork, details: list[float], file: Path) -> None:
    """A row for each detail: portraits and landscapes at their size of 512 pixels; the photo first."""
    chosen = [photo for _, photo in face_photos()[:: len(face_photos()) // PORTRAITS][:PORTRAITS]]
    chosen += [photo for name, photo in every_photo() if name in LANDSCAPES or name == "amber"]
    rows = [[pixels(photo) for photo in chosen]]
    rows += [[pixels(painted(network, photo, detail)) for photo in chosen] for detail in details]
    height = max(one.shape[0] for one in rows[0])
    grid = [np.hstack([np.pad(o, ((0, height - len(o)), (0, 4), (0, 0))) for o in row]) for row in rows]
    Image.fromarray(np.vstack(grid)).save(file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--details", default="100,50,0")
    parser.add_argument("--brief", action="store_true", help="of 0 the objective alone")
    parser.add_argument("--quick", action="store_true", help="five photos, three with noise")
    parser.add_argument("--sheet", action="store_true")
    parser.add_argument("--no-numbers", action="store_true")
    options = parser.parse_args()
    global QUICK
    QUICK = options.quick
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    columns = ("faces", "content", "style", "centred", "colour_style", "checkerboard", "border", "flicker", "flicker_max", "ssim")
    print(f"{'':32}", *(f"{c[-9:]:>9}" for c in (*columns, "objective")), flush=True)
    for one in options.files:
        label, file = one.split("=", 1)
        name, _, tag = label.partition("@")
        network = network_in(Path(file))
        details = [float(d) / 100 for d in options.details.split(",")] if network.settings.styles > 1 else [0.0]
        for detail in [] if options.no_numbers else details:
            begun = time.monotonic()
            found = measured(name, network, detail, options.brief and not detail)
            line = f"{label[:26]:26} {detail * 100:5.0f}"
            print(line, *(f"{found.get(c, float('nan')):9.4f}" for c in (*columns, "objective")), f"{time.monotonic() - begun:.0f} s")
            with (options.out / "measured.jsonl").open("a") as log:
                log.write(json.dumps({"name": name, "tag": tag, "file": file, "detail": detail * 100, **found}) + "\n")
        if options.sheet:
            sheet(network, details, options.out / f"{name}.{tag or 'x'}.png")


if __name__ == "__main__":
    main()
