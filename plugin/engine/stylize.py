"""The fast path: a photo through a feed-forward network with ONNX Runtime. Never imports torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from nst_core.errors import StyleError
from plugin.engine.memory import check_memory
from plugin.engine.picture import Picture, composite, network_input
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
        if not 0 <= self.strength <= 100:
            raise StyleError(f"The strength is {self.strength:g}; give one from 0 to 100.")


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
    padded = pad_to_network(network_input(picture), style)
    check_memory(
        padded.shape[0] * padded.shape[1], style.bytes_per_pixel + PICTURE_BYTES_PER_PIXEL, provider.name == CUDA
    )
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


def pad_to_network(rgb: np.ndarray, style: Style) -> np.ndarray:
    """[H, W, 3] grown at the bottom and right to sizes the network takes, by mirroring (a tiny one repeatedly)."""
    grow = [
        (0, -(-max(extent, style.minimum_size) // style.multiple_of) * style.multiple_of - extent)
        for extent in rgb.shape[:2]
    ]
    return np.pad(rgb, [*grow, (0, 0)], mode="symmetric")


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
