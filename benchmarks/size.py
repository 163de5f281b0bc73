"""Measure fast painting with strokes at full resolution by size: time for each megapixel, memory, and seams.

    python -m benchmarks.size PHOTO OUT --megapixels 1,4,9,24 --style great-wave

Each way paints each size in a process of its own: the network on the whole picture; in strips, as large pictures are
painted; and in independent tiles of 512 pixels, as other programs do. OUT gets size.json, the table size.md and the
plot size.svg.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring.command import exit_on_error, new_parser, numbers
from nst_core.base.onnx_runtime import ort
from nst_core.pictures.vips import pyvips
from nst_core.style_file import Style
from plugin.engine.fast import network_run
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine import provider as providers
from plugin.engine.machine.memory import keep_freed_memory, peak_rss_mib
from plugin.engine.machine.provider import Provider

TILE_SIDE = 512  # pixels
MEASURED_SETTINGS = FastSettings(full_resolution=True, device="cpu")
# Larger pictures are painted in strips only.
MOST_WHOLE = 12  # megapixels


@dataclass(frozen=True)
class SizeMeasurement:
    """What a way of painting took for a picture.

    Attributes:
        cpu_seconds: for the whole painting, on one thread: on a busy machine, threads that wait would count as work.
        memory_mib: at the peak, in addition to the photo and the libraries.
        largest, mean: difference from the whole painting, of 255; None where that is not painted.
        seams: the seam index on the lines between strips or tiles, divided by that of the whole painting there.
    """

    way: str
    megapixels: float
    cpu_seconds: float
    memory_mib: float
    largest: float | None = None
    mean: float | None = None
    seams: float | None = None


def paint_whole(photo: np.ndarray, style: Style) -> np.ndarray:
    """Paint with the network on the whole picture."""
    network_run.WHOLE_BYTES = 2**60
    return _paint(photo, style)


def paint_in_strips(photo: np.ndarray, style: Style) -> np.ndarray:
    """Paint in strips, whatever the size."""
    network_run.WHOLE_BYTES = 0
    return _paint(photo, style)


def paint_in_tiles(photo: np.ndarray, style: Style) -> np.ndarray:
    """Paint independent tiles, each with its own statistics."""
    network_run.WHOLE_BYTES = 2**60
    out = np.empty_like(photo)
    for top in range(0, photo.shape[0], TILE_SIDE):
        for left in range(0, photo.shape[1], TILE_SIDE):
            tile = np.ascontiguousarray(photo[top : top + TILE_SIDE, left : left + TILE_SIDE])
            out[top : top + TILE_SIDE, left : left + TILE_SIDE] = _paint(tile, style)
    return out


def _paint(photo: np.ndarray, style: Style) -> np.ndarray:
    return paint_fast(Picture(photo), {style: 1.0}, MEASURED_SETTINGS).pixels[..., :3]


WAYS: dict[str, Callable[[np.ndarray, Style], np.ndarray]] = {
    "whole": paint_whole,
    "strips": paint_in_strips,
    "tiles": paint_in_tiles,
}


@exit_on_error("size")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = new_parser("size", __doc__)
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--megapixels", type=numbers, default=(1, 4, 9, 24), metavar="N,N", help="default 1,4,9,24")
    parser.add_argument("--style", default="great-wave", metavar="STYLE")
    parser.add_argument("--way", choices=WAYS, help="paint one size in one way in this process, and print the figures")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.way:
        (style,) = find_styles(options.style)
        measurement = _measure(options.photo, options.out, options.megapixels[0], style, options.way)
        print(json.dumps(asdict(measurement)))
        return
    measurements = []
    for megapixels in options.megapixels:
        for way in WAYS if megapixels <= MOST_WHOLE else ("strips",):
            command = [sys.executable, "-m", "benchmarks.size", options.photo, options.out, "--style", options.style]
            command += ["--megapixels", str(megapixels), "--way", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measurements.append(SizeMeasurement(**json.loads(done.stdout)))
            print(measurements[-1], flush=True)
    text = json.dumps([asdict(measurement) for measurement in measurements], indent=1)
    (options.out / "size.json").write_text(text)
    (options.out / "size.md").write_text(table(measurements))
    plot(measurements, options.out / "size.svg")


def _measure(file: Path, out: Path, megapixels: int, style: Style, way: str) -> SizeMeasurement:
    keep_freed_memory()
    options = providers.session_options

    def on_one_thread(provider: Provider) -> ort.SessionOptions:
        single = options(provider)
        single.intra_op_num_threads = 1
        return single

    providers.session_options = on_one_thread
    photo = _photo(file, megapixels)
    paint_whole(photo[:64, :64].copy(), style)  # loads the libraries
    before, start = peak_rss_mib(), time.process_time()
    painted = WAYS[way](photo, style)
    measurement = SizeMeasurement(way, megapixels, time.process_time() - start, peak_rss_mib() - before)
    reference = out / f"whole-{megapixels}.npy"
    if way == "whole":
        np.save(reference, painted)
        return measurement
    if not reference.exists():
        return measurement
    whole = np.load(reference)
    difference = np.abs(painted.astype(np.int16) - whole)
    lines = _lines(way, photo.shape[0], photo.shape[1])
    seams = seam_index(painted, lines) / seam_index(whole, lines)
    return replace(measurement, largest=float(difference.max()), mean=float(difference.mean()), seams=seams)


def _photo(file: Path, megapixels: int) -> np.ndarray:
    """Return a photo of so many megapixels, uint8 [H, W, 3]."""
    image = pyvips.Image.new_from_file(str(file))
    scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    pixels: np.ndarray = image.resize(scale).numpy()[..., :3]
    return np.ascontiguousarray(pixels)


def _lines(way: str, height: int, width: int) -> list[int]:
    """Return the first rows of all strips or tiles but the first."""
    # A strip is as many whole rows of the network's smallest maps, which are four pixels high.
    strip = 4 * max(4, network_run.STRIP_PIXELS * -(-height // 4) // (height * width))
    step = TILE_SIDE if way == "tiles" else strip
    return list(range(step, height, step))


def seam_index(picture: np.ndarray, lines: Sequence[int]) -> float:
    """Compute the energy of the vertical gradient on the rows ``lines``, divided by that on all other rows."""
    luma = picture.astype(np.float32).mean(2)
    energy = np.square(np.diff(luma, axis=0)).mean(1)
    on_line = np.zeros(len(energy), bool)
    on_line[[line - 1 for line in lines]] = True
    return float(energy[on_line].mean() / energy[~on_line].mean())


def table(measurements: Sequence[SizeMeasurement]) -> str:
    """Return the measurements as a table in Markdown."""
    lines = [
        "| megapixels | way | CPU seconds for each megapixel | memory, MiB | largest and mean difference, of 255 |"
        " seams |",
        "|---|---|---|---|---|---|",
    ]
    for m in measurements:
        difference = "" if m.largest is None else f"{m.largest:.0f}, {m.mean:.3f}"
        seams = "" if m.seams is None else f"{m.seams:.3f}"
        cells = [f"{m.megapixels:g}", m.way, f"{m.cpu_seconds / m.megapixels:.2f}", f"{m.memory_mib:.0f}"]
        lines.append("| " + " | ".join([*cells, difference, seams]) + " |")
    return "\n".join(lines) + "\n"


def plot(measurements: Sequence[SizeMeasurement], path: Path) -> None:
    """Draw time for each megapixel, and peak memory, by size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    time_panel, memory_panel = figure.subplots(1, 2)
    for way in WAYS:
        own = [m for m in measurements if m.way == way]
        sizes = [m.megapixels for m in own]
        time_panel.plot(sizes, [m.cpu_seconds / m.megapixels for m in own], marker="o", label=way)
        memory_panel.plot(sizes, [m.memory_mib / 1024 for m in own], marker="o", label=way)
    time_panel.set(xlabel="megapixels", ylabel="CPU seconds for each megapixel", ylim=(0, None))
    memory_panel.set(xlabel="megapixels", ylabel="memory, GiB", ylim=(0, None))
    time_panel.legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
