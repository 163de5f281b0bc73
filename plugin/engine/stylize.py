"""The fast path: a photo through a feed-forward network with ONNX Runtime. Never imports torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from nst_core.errors import StyleError
from plugin.engine.memory import check_memory
from plugin.engine.picture import Picture, check_strength, composite, network_input
from plugin.engine.progress import Progress, ProgressCallback, ignore
from plugin.engine.provider import CUDA, Provider, choose_provider, open_session
from plugin.engine.stopwatch import Stopwatch
from plugin.engine.style_library import Style

# The picture, what the network sees of it, what comes back, and the mixture of both, beside the network's own needs.
PICTURE_BYTES_PER_PIXEL = 80


@dataclass(frozen=True)
class StylizeSettings:
    """Strength in percent, 0 (the photo) to 100 (the style), and the device: ``auto``, ``cuda`` or ``cpu``."""

    strength: float = 100.0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_strength(self.strength)


@dataclass(frozen=True, eq=False)
class Stylized:
    """The result: float32 pixels [H, W, 4] like the picture's, what ran it, and seconds by stage."""

    pixels: np.ndarray
    provider: Provider
    seconds: dict[str, float]


def stylize(
    picture: Picture,
    style: Style,
    settings: StylizeSettings = StylizeSettings(),
    progress: ProgressCallback = ignore,
) -> Stylized:
    """Paint ``picture`` in a trained style; any size from 1x1 up.

    Raises StyleError if it would not fit into memory or the style file does not run.
    """
    clock = Stopwatch()
    progress(Progress("Preparing", 0.0))
    provider = choose_provider(settings.device, style.path)
    height, width = network_size(picture.height, picture.width, style)
    if provider.name == CUDA:
        check_memory(height * width, style.bytes_per_pixel, on_gpu=True)
        check_memory(height * width, PICTURE_BYTES_PER_PIXEL, on_gpu=False)
    else:
        check_memory(height * width, PICTURE_BYTES_PER_PIXEL + style.bytes_per_pixel, on_gpu=False)
    grow = [(0, height - picture.height), (0, width - picture.width), (0, 0)]
    # At the bottom and right, by mirroring; NumPy mirrors a tiny picture again and again.
    padded = np.pad(network_input(picture), grow, mode="symmetric")
    clock.lap("prepare")
    progress(Progress("Loading the style", 0.1))
    session = _session(style.path, style.path.stat().st_mtime_ns, provider)
    clock.lap("load")
    progress(Progress("Painting", 0.2))
    styled = run_network(session, padded)[: picture.height, : picture.width]
    clock.lap("inference")
    progress(Progress("Finishing", 0.9))
    pixels = composite(picture, styled, settings.strength)
    clock.lap("composite")
    progress(Progress("Done", 1.0))
    return Stylized(pixels, provider, clock.seconds)


def network_size(height: int, width: int, style: Style) -> tuple[int, int]:
    """The least size of at least height x width that the style's network takes."""
    step = style.multiple_of
    height, width = (-(-max(extent, style.minimum_size) // step) * step for extent in (height, width))
    return height, width


def run_network(session: ort.InferenceSession, rgb: np.ndarray) -> np.ndarray:
    """[H, W, 3] through the network: [H, W, 3]. Raises StyleError if the runtime fails."""
    image = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32)
    try:
        (styled,) = session.run(["styled"], {"image": image})
    except Exception as error:  # the runtime's own exception classes share no base but this
        raise StyleError(
            f"ONNX Runtime could not run the style ({error}); try a smaller picture or the CPU."
        ) from error
    return styled[0].transpose(1, 2, 0)


@functools.lru_cache(maxsize=4)
def _session(path: Path, modified: int, provider: Provider) -> ort.InferenceSession:
    # ``modified`` makes a replaced file a new entry.
    return open_session(path, provider)
