"""The encoders and decoders of instant painting in ONNX Runtime."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.onnx_runtime import ort
from plugin.engine.machine.provider import Provider, open_session, run_options
from plugin.engine.progress import Stopper

NETWORKS_FOLDER = Path(__file__).with_name("networks")
PAINTED_LEVELS = (5, 4, 3, 2, 1)
# A picture's sides are multiples of this, so four halvings and four doublings give its size again.
MULTIPLE = 16


def encoder_file(level: int) -> Path:
    """Return the file of the network from a picture to the activations of a level."""
    return NETWORKS_FOLDER / f"encoder-{level}.onnx"


def decoder_file(level: int) -> Path:
    """Return the file of the network from the activations of a level to a picture."""
    return NETWORKS_FOLDER / f"decoder-{level}.onnx"


def encode(image: np.ndarray, level: int, provider: Provider, stopper: Stopper) -> np.ndarray:
    """Return the activations [C, h, w] of an image, float32 [3, H, W] in 0..1 with sides that are multiples of 16."""
    return _run(encoder_file(level), image, provider, stopper)


def decode(features: np.ndarray, level: int, provider: Provider, stopper: Stopper) -> np.ndarray:
    """Return the image [3, H, W] in 0..1 that activations [C, h, w] describe."""
    return _run(decoder_file(level), features, provider, stopper)


def _run(file: Path, values: np.ndarray, provider: Provider, stopper: Stopper) -> np.ndarray:
    """Run a network on one array. Raises StyleError if it fails, and progress.StoppedError if ``stopper`` stops it."""
    session = _session(file, provider)
    options = run_options(session)
    stopper.on_stop(lambda: setattr(options, "terminate", True))
    try:
        (result,) = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(values[None])}, options)
    except Exception as error:  # the only base class of the runtime's own exceptions
        stopper.check()
        raise StyleError(
            _("ONNX Runtime could not run the style ({error}); try a smaller picture or the CPU.").format(error=error)
        ) from error
    output: np.ndarray = result[0]
    return output


@functools.lru_cache(maxsize=20)  # two providers' ten networks
def _session(file: Path, provider: Provider) -> ort.InferenceSession:
    return open_session(file, provider)


def close_networks() -> None:
    """Close the networks that were kept for the next painting."""
    _session.cache_clear()
