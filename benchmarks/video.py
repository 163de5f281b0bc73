"""Measure how steady and how sharp painted films are, and what painting them costs beside the inference.

    python -m benchmarks.video steadiness OUT.svg [--styles starry-night great-wave]
    python -m benchmarks.video speed [--style great-wave] [--frames 24]

The films are made of a sample photo: still, a pan, and a turning zoom with something that crosses it. All have a
camera's noise and unsteady exposure. Flicker is the mean difference of consecutive frames, of 255, after they are
registered by the known motion; sharpness is the variance of the Laplacian, as a share of the frame-by-frame result's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.style_library import find_styles
from plugin.engine.film.steadiness import Steadier
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.memory import keep_freed_memory

SAMPLE = Path(__file__).parent.parent / "plugin/samples/coffee.jpg"
FILM_SIZE = (448, 288)  # width and height
FRAMES = 24
CAMERA_NOISE = 2 / 255
EXPOSURE = 0.01
EDGE = 8  # pixels at the borders that are not measured
STEADY_VALUES = (0, 25, 50, 75, 100)
AVERAGES = (0.5, 0.7)


@dataclass(frozen=True)
class Film:
    """A film with known motion.

    Attributes:
        frames: float32 [h, w, 3] in 0..1.
        motion: the affine map from each frame's pixels to the next one's.
        measured: for each frame [h, w], false where something moves by itself.
    """

    frames: list[np.ndarray]
    motion: np.ndarray
    measured: list[np.ndarray]


def make_film(name: str) -> Film:
    """Make the film ``still``, ``pan`` or ``zoom`` of the sample photo of a cup of coffee."""
    photo = np.asarray(Image.open(SAMPLE).convert("RGB"), np.float32) / 255
    width, height = FILM_SIZE
    motion = {
        "still": np.array([[1, 0, 0], [0, 1, 0]], np.float32),
        "pan": np.array([[1, 0, -3], [0, 1, -1]], np.float32),
        "zoom": cv2.getRotationMatrix2D((width / 2, height / 2), 0.4, 1.006).astype(np.float32),
    }[name]
    random, frames, measured = np.random.default_rng(0), [], []
    placed = np.array([[1, 0, -20], [0, 1, -20], [0, 0, 1]], np.float32)
    for number in range(FRAMES):
        frame = cv2.warpAffine(photo, placed[:2], FILM_SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        placed = np.vstack([motion, [0, 0, 1]]).astype(np.float32) @ placed
        still = np.ones((height, width), bool)
        if name == "zoom":
            left = 12 * number
            frame[90:170, left : left + 70] = photo[:80, 300:370]
            still[70:190, max(0, left - 30) : left + 100] = False
        frame = frame * (1 + EXPOSURE * np.sin(1.7 * number)) + random.normal(0, CAMERA_NOISE, frame.shape)
        frames.append((np.round(frame.clip(0, 1) * 255) / 255).astype(np.float32))
        measured.append(still)
    return Film(frames, motion, measured)


def flicker(film: Film, frames: Sequence[np.ndarray]) -> float:
    """Return the mean registered difference of consecutive frames, of 255."""
    differences = []
    for (one, where), (other, _where) in pairwise(zip(frames, film.measured, strict=True)):
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(other, film.motion, FILM_SIZE, flags=flags)
        inside = cv2.warpAffine(np.ones(other.shape[:2], np.float32), film.motion, FILM_SIZE, flags=flags) > 0.999
        kept = (inside & where)[EDGE:-EDGE, EDGE:-EDGE]
        differences.append(np.abs(one - moved).mean(axis=2)[EDGE:-EDGE, EDGE:-EDGE][kept].mean())
    return float(np.mean(differences)) * 255


def sharpness(frames: Sequence[np.ndarray]) -> float:
    """Return the mean variance of the Laplacian of luminance."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return float(np.mean([cv2.Laplacian(frame, cv2.CV_32F)[EDGE:-EDGE, EDGE:-EDGE].var() for frame in grey]))


def paint_frames(film: Film, style: str) -> list[np.ndarray]:
    """Paint each frame by itself."""
    styles = find_styles(style)
    return [paint_fast(Picture(_opaque(frame)), styles).pixels[..., :3] for frame in film.frames]


def steadied(film: Film, painted: Sequence[np.ndarray], steady: float) -> list[np.ndarray]:
    """Return the paintings as ``--steady`` gives them."""
    if not steady:
        return list(painted)
    steadier = Steadier(steady)
    return [
        steadier.steady(number, Picture(_opaque(photo)), _opaque(painting))[..., :3]
        for number, (photo, painting) in enumerate(zip(film.frames, painted, strict=True))
    ]


def averaged(film: Film, painted: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    """Return the usual remedy, for comparison: each painting mixed with a share of the result before it.

    That is moved by optical flow, and counts less where the flow there and back does not agree.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(np.round(frame * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for frame in film.frames]
    own = np.dstack([*np.meshgrid(*map(np.arange, FILM_SIZE))]).astype(np.float32)
    result = [painted[0]]
    for number in range(1, len(painted)):
        back = flow.calc(grey[number], grey[number - 1], None)
        there = cv2.remap(flow.calc(grey[number - 1], grey[number], None), own + back, None, cv2.INTER_LINEAR)
        agreed = share * np.exp(-((back + there) ** 2).sum(axis=2))[..., None]
        moved = cv2.remap(result[-1], own + back, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        result.append((painted[number] * (1 - agreed) + moved * agreed).clip(0, 1).astype(np.float32))
    return result


def measure_steadiness(styles: Sequence[str], plot: Path) -> None:
    """Print a table of all films and styles, and plot flicker against sharpness."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(styles), figsize=(4.5 * len(styles), 3.6), squeeze=False)
    for style, axis in zip(styles, axes[0], strict=True):
        for name in ("still", "pan", "zoom"):
            film = make_film(name)
            painted, input_flicker = paint_frames(film, style), flicker(film, film.frames)
            whole = sharpness(painted)

            def point(frames: Sequence[np.ndarray], film: Film = film, whole: float = whole) -> tuple[float, float]:
                return flicker(film, frames), sharpness(frames) / whole

            curve = [point(steadied(film, painted, steady)) for steady in STEADY_VALUES]
            usual = [point(averaged(film, painted, share)) for share in AVERAGES]
            print(f"{style}, {name}: input {input_flicker:.1f}")
            labels = [*map("--steady {}".format, STEADY_VALUES), *map("averaged {}".format, AVERAGES)]
            for label, (difference, sharp) in zip(labels, curve + usual, strict=True):
                print(f"  {label}: flicker {difference:.1f}, sharpness {sharp:.2f}", flush=True)
            (line,) = axis.plot(*zip(*curve, strict=True), "o-", label=name)
            axis.plot(*zip(*usual, strict=True), "x", color=line.get_color())
        axis.set(title=style, xlabel="flicker, of 255", ylabel="sharpness", ylim=(0, 1.05))
        axis.legend()
    figure.tight_layout()
    figure.savefig(plot)


def measure_speed(style: str, frames: int) -> None:
    """Print the CPU seconds of a 720p frame: of inference alone, and of ``apply`` without and with steady strokes."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few.mp4"), Path(folder, "many.mp4")
        _write_720p(few, 4)
        _write_720p(many, 4 + frames)
        inference = _inference_seconds(style)
        print(f"inference {inference:.3f} CPU s a frame")
        for steady in (0, 100):
            command = ["--style", style, "--steady", str(steady), "-o", f"{folder}/{steady}.mp4"]
            each = (_cpu_seconds(many, command) - _cpu_seconds(few, command)) / frames
            print(f"apply --steady {steady}: {each:.3f} CPU s a frame, ratio {inference / each:.2f}")


def _inference_seconds(style: str) -> float:
    keep_freed_memory()
    photo = Image.open(SAMPLE).convert("RGB").resize((1280, 720))
    picture, styles = Picture(_opaque(np.asarray(photo, np.float32) / 255)), find_styles(style)
    paint_fast(picture, styles)
    start, shares = time.process_time(), []
    for _ in range(8):
        seconds = paint_fast(picture, styles).seconds
        shares.append(seconds["inference"] / seconds["total"])
    return (time.process_time() - start) / 8 * float(np.median(shares))


def _cpu_seconds(path: Path, arguments: Sequence[str]) -> float:
    before = os.times()
    command = [sys.executable, "-m", "plugin.cli", "apply", str(path), *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _write_720p(path: Path, count: int) -> None:
    import av

    photo = np.asarray(Image.open(SAMPLE).convert("RGB").resize((1500, 1000)))
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(count):
            part = photo[number : number + 720, 3 * number : 3 * number + 1280]
            noisy = (part + random.normal(0, 255 * CAMERA_NOISE, part.shape)).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))


def _opaque(rgb: np.ndarray) -> np.ndarray:
    return np.dstack([rgb, np.ones(rgb.shape[:2], np.float32)]).astype(np.float32)


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    steadiness = commands.add_parser("steadiness")
    steadiness.add_argument("plot", type=Path)
    steadiness.add_argument("--styles", nargs="+", default=["starry-night", "great-wave"])
    steadiness.set_defaults(run=lambda options: measure_steadiness(options.styles, options.plot))
    speed = commands.add_parser("speed")
    speed.add_argument("--style", default="great-wave")
    speed.add_argument("--frames", type=int, default=24)
    speed.set_defaults(run=lambda options: measure_speed(options.style, options.frames))
    options = parser.parse_args()
    run: Callable[[argparse.Namespace], None] = options.run
    run(options)


if __name__ == "__main__":
    main()
