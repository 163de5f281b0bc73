"""Measure painting in the style of any picture: by the training objective, and how well the decoders reconstruct.

    python -m benchmarks.instant ASSETS OUT

ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS. OUT gets instant.md, which is printed
too, and instant.json. Needs OpenCV: pip install 'opencv-python-headless<5'. The reference is the same cascade with the
slim encoders and decoders that Wang et al. published in 2020, without shrinkage, and with a swap of 0.8 everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.likeness.faces import check_opencv, is_kept
from benchmarks.likeness.portraits import read_portraits
from benchmarks.measuring.command import exit_on_error, new_parser, positive
from benchmarks.measuring.record_files import Record, markdown_table, write_json, write_text
from benchmarks.quality.scores import reduce_photo, spread_indices
from benchmarks.quality.style_subjects import StyleSubject, SubjectOptions, read_subjects
from nst_core.features import weight_files
from nst_core.features.catalogue import load_features
from nst_core.features.vgg import VGGNetwork
from nst_core.instant.decoder import Decoder, layer_of
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_array, as_tensor
from nst_core.pictures.photos import Photos
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.feature_transforms import StyleStatistics, measure_style, transform
from plugin.engine.instant.instant_networks import MULTIPLE, PAINTED_LEVELS, decode, encode
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.style_measurement import style_image
from plugin.engine.instant.style_reading import read_style_picture
from plugin.engine.machine.provider import CPU, Provider
from plugin.engine.progress import Stopper

COMPARED_STYLES = ("starry-night", "great-wave", "la-muse", "udnie")
# In the folder styles of ASSETS, for the faces that paintings keep.
FACE_PAINTINGS = (
    *("starry_night", "wave", "la_muse", "udnie", "the_scream", "composition_vii", "woman_with_hat"),
    *("vangogh_wheatfield", "rain_princess", "edtaonisl"),
)
REFERENCE_SWAP = 0.8
FAST = FastSettings(device="cpu")
INSTANT_WAYS = {
    "motifs and brushwork at 0": InstantSettings(0.0, 0.0, FAST),
    "motifs at 80, brushwork at 0": InstantSettings(80.0, 0.0, FAST),
    "default settings": InstantSettings(fast=FAST),
    "detail at 0": InstantSettings(fast=replace(FAST, detail=0.0)),
}
# By level, whether its patches are swapped.
REFERENCES = {
    "Wang et al.: whitening and colouring": (),
    "Wang et al.: swap at 5": (5,),
    "Wang et al.: swap at 4": (4,),
}
Paint = Callable[[Picture, Picture], np.ndarray]
"""Paints a photo in the style of a picture: RGB [H, W, 3]."""


@dataclass(frozen=True)
class InstantOptions:
    """The command's options.

    Attributes:
        assets, out: the folders of inputs and results.
        photos: how many held-out photos.
        portraits: how many photos with a face.
        size: the longest side of a photo in pixels.
    """

    assets: Path
    out: Path
    photos: int
    portraits: int
    size: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = parse(arguments)
    check_opencv()
    record = measure(options)
    write_json(options.out / "instant.json", record)
    report = write_report(record)
    write_text(options.out / "instant.md", report)
    print(report)


def parse(arguments: Sequence[str] | None = None) -> InstantOptions:
    """Parse the command line."""
    parser = new_parser("instant", __doc__)
    parser.add_argument("assets", type=Path, metavar="ASSETS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--photos", type=positive, default=8, help="held-out photos (default 8)")
    parser.add_argument("--portraits", type=positive, default=49, help="photos with a face, at most 49 (default 49)")
    parser.add_argument("--size", type=positive, default=256, help="longest side of a photo in pixels (default 256)")
    return InstantOptions(**vars(parser.parse_args(arguments)))


def measure(options: InstantOptions) -> Record:
    """Measure everything that the report contains."""
    held_out = Photos(options.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    numbers = spread_indices(len(held_out), options.photos)
    photos = [reduce_photo(held_out.whole(number), options.size) for number in numbers]
    slim = SlimCascade(options.assets / "weights")
    ways: dict[str, Paint] = {"the photo itself": lambda photo, style: photo.pixels[..., :3]}
    for name, swapped in REFERENCES.items():
        ways[name] = partial(slim.paint, swapped=swapped)
    for name, settings in INSTANT_WAYS.items():
        ways[name] = partial(_paint, settings=settings)
    subjects = read_subjects(SubjectOptions(options.assets, COMPARED_STYLES, {}, "cpu"))
    return {
        "photos": numbers,
        "size": options.size,
        "styles": [subject.style.title for subject in subjects],
        "objective": _objectives(subjects, photos, ways),
        "psnr": {level: _psnr(level, photos) for level in PAINTED_LEVELS[::-1]},
        "portraits": options.portraits,
        "faces": _kept_faces(options),
    }


def _kept_faces(options: InstantOptions) -> dict[str, int]:
    """Return for each painting in how many portraits the face is still detected after painting at the defaults."""
    everyone = read_portraits(options.assets / "photos")
    count = min(options.portraits, len(everyone))
    portraits = [everyone[number * len(everyone) // count] for number in range(count)]
    kept = {}
    for name in FACE_PAINTINGS:
        style = read_style_picture(options.assets / "styles" / f"{name}.jpg")
        paintings = (_paint_portrait(portrait.pixels, style) for portrait in portraits)
        kept[name] = sum(
            is_kept(painting, portrait.face) for painting, portrait in zip(paintings, portraits, strict=True)
        )
    return kept


def _paint_portrait(photo: np.ndarray, style: Picture) -> np.ndarray:
    """Paint a photo, uint8 [H, W, 3], at its own size."""
    pixels = np.ones((*photo.shape[:2], 4), np.float32)
    pixels[..., :3] = photo / np.float32(255)
    painted = _paint(Picture(pixels), style, InstantSettings(fast=FAST))
    return np.round(painted * 255).astype(np.uint8)


def _objectives(
    subjects: Sequence[StyleSubject], photos: Sequence[Tensor], ways: Mapping[str, Paint]
) -> dict[str, list[float]]:
    """Return the mean objective over the photos for each way, in the order of the subjects."""
    scores: dict[str, list[float]] = {name: [] for name in ways}
    for subject in subjects:
        objective = Objective(subject.features, subject.objective, [subject.style_picture])
        style, sums = _picture(subject.painting), dict.fromkeys(ways, 0.0)
        with torch.no_grad():
            for photo in photos:
                targets = objective.content_targets(photo)
                for name, paint in ways.items():
                    painting = as_tensor(np.ascontiguousarray(paint(_picture(photo), style)))
                    sums[name] += objective(painting, targets)["total"].item()
        for name, total in sums.items():
            scores[name].append(total / len(photos))
    return scores


class SlimCascade:
    """The cascade with the networks of Wang et al. 2020, from the folder ``weights``."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights
        self._networks: dict[int, tuple[VGGNetwork, Callable[[Tensor], Tensor]]] = {}
        self._styles: dict[tuple[Picture, int], StyleStatistics] = {}

    def paint(self, photo: Picture, style: Picture, swapped: Sequence[int]) -> np.ndarray:
        """Return the painting, RGB [H, W, 3], with patches swapped at the levels ``swapped``."""
        height, width = photo.height, photo.width
        added = [(0, -extent % MULTIPLE) for extent in (height, width)]
        image = np.pad(photo.pixels[..., :3].transpose(2, 0, 1), [(0, 0), *added], mode="symmetric")
        for level in PAINTED_LEVELS:
            measured = self._measured(style, level)
            features = self._encode(image, level)
            swap = np.full(features.shape[1:], REFERENCE_SWAP, np.float32) if level in swapped else None
            image = self._decode(transform(features, measured, swap, shrinkage=0.0), level)
        return image[:, :height, :width].transpose(1, 2, 0)

    def _measured(self, style: Picture, level: int) -> StyleStatistics:
        if (style, level) not in self._styles:
            self._styles[style, level] = measure_style(self._encode(style_image(style), level), level > 3)
        return self._styles[style, level]

    def _encode(self, image: np.ndarray, level: int) -> np.ndarray:
        with torch.no_grad():
            features: np.ndarray = self._network(level)[0](torch.from_numpy(image)[None], [layer_of(level)])[
                layer_of(level)
            ][0].numpy()
        return features

    def _decode(self, features: np.ndarray, level: int) -> np.ndarray:
        with torch.no_grad():
            image: np.ndarray = self._network(level)[1](torch.from_numpy(features)[None]).clamp(0, 1)[0].numpy()
        return image

    def _network(self, level: int) -> tuple[VGGNetwork, Callable[[Tensor], Tensor]]:
        """Return the encoder and the decoder of a level."""
        if level not in self._networks:
            part = f"encoder{level}" if level < 4 else f"conv{level}_1"
            encoder = load_features(str(self.weights / f"vgg19_distilled16x_{part}.safetensors"))
            assert isinstance(encoder, VGGNetwork)
            state = weight_files.convolutions(self.weights / f"vgg19_distilled16x_decoder{level}.safetensors")
            self._networks[level] = encoder.without_heads(), _slim_decoder(level, state)
        return self._networks[level]


def _slim_decoder(level: int, state: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a decoder with the tensors ``conv51.weight`` and so on. Level 1's is a single convolution."""
    if level == 1:
        return lambda features: F.conv2d(
            F.pad(features, (1, 1, 1, 1), mode="reflect"), state["conv11.weight"], state["conv11.bias"]
        )
    first = state[f"conv{level}1.weight"]
    decoder = Decoder(level, first.shape[1])
    names = {f"conv{name[4]}{name[6]}": name for name in decoder.steps}
    tensors = {f"{names[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in state.items()}
    decoder.convolutions.load_state_dict(tensors)
    return decoder


def _paint(photo: Picture, style: Picture, settings: InstantSettings) -> np.ndarray:
    return paint_instantly(photo, {style: 1.0}, settings).pixels[..., :3]


def _psnr(level: int, photos: Sequence[Tensor]) -> float:
    """Return the mean PSNR in dB of photos that the bundled networks of a level encode and decode."""
    provider, values = Provider(CPU, ""), []
    for photo in photos:
        height, width = (extent // MULTIPLE * MULTIPLE for extent in photo.shape[-2:])
        image = np.ascontiguousarray(photo[0, :, :height, :width].numpy())
        features = encode(image, level, provider, Stopper())
        error = float(np.square(decode(features, level, provider, Stopper()) - image).mean())
        values.append(-10 * np.log10(error))
    return float(np.mean(values))


def _picture(rgb: Tensor) -> Picture:
    """Return RGB [1, 3, H, W] as a picture."""
    pixels = np.ones((*rgb.shape[-2:], 4), np.float32)
    pixels[..., :3] = as_array(rgb)
    return Picture(pixels)


def write_report(record: Record) -> str:
    """Return the report in Markdown."""
    header = ["", *record["styles"]]
    rows = [[name, *(f"{value:.2f}" for value in values)] for name, values in record["objective"].items()]
    levels = [["dB", *(f"{value:.1f}" for value in record["psnr"].values())]]
    return "\n".join(
        [
            f"Mean training objective of {len(record['photos'])} held-out photos of at most {record['size']} pixels:\n",
            markdown_table(header, rows),
            "\nThe same photos, encoded and decoded, by level:\n",
            markdown_table(["level", *map(str, record["psnr"])], levels),
            f"\nFaces kept, of {record['portraits']}, mean {fmean(record['faces'].values()):.1f}:\n",
            markdown_table(list(record["faces"]), [list(map(str, record["faces"].values()))]),
        ]
    )


if __name__ == "__main__":
    with exit_on_error("instant"):
        main()
