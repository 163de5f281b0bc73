"""Run a style file on the sample photo in ONNX Runtime or in PyTorch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.inference.compared_networks import read_in_pytorch
from benchmarks.measuring.machine import DTYPES, synchronised
from benchmarks.measuring.pictures import COFFEE
from nst_core.base.onnx_runtime import ort
from plugin.engine.machine.provider import CPU, CUDA, Provider, open_session, run_options, session_options

ONNX_RUNTIME, PYTORCH = "ONNX Runtime", "PyTorch"


@dataclass(frozen=True)
class Backend:
    """A library that runs a network, and how.

    Attributes:
        runtime: ONNX_RUNTIME or PYTORCH.
        precision: a key of DTYPES.
        mode: ``bound`` to memory on the GPU, ``compiled``, or empty.
    """

    runtime: str
    precision: str
    mode: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.runtime, self.precision, self.mode)))

    @property
    def keys(self) -> dict[str, str]:
        """The keys and values that name it in a record."""
        return {"runtime": self.runtime, "precision": self.precision, "how": self.mode}


# By the type of the device.
BACKENDS = {
    "cpu": (Backend(ONNX_RUNTIME, "fp32"), Backend(PYTORCH, "fp32")),
    "cuda": (
        Backend(ONNX_RUNTIME, "fp32"),
        Backend(ONNX_RUNTIME, "fp32", "bound"),
        Backend(ONNX_RUNTIME, "fp16"),
        Backend(ONNX_RUNTIME, "fp16", "bound"),
        Backend(PYTORCH, "fp32"),
        Backend(PYTORCH, "bf16"),
        Backend(PYTORCH, "bf16", "compiled"),
    ),
}


def sample_photo(size: int) -> np.ndarray:
    """Return a sample photo as a network's input: [1, 3, size, size], float32 in 0..1."""
    with Image.open(COFFEE) as photo:
        pixels = np.asarray(photo.convert("RGB").resize((size, size)), np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def open_backend(backend: Backend, path: Path, size: int, device: torch.device, threads: int) -> Callable[[], Any]:
    """Open a style file; return a function that paints the sample photo and returns the painting.

    The function copies to and from a GPU as well, unless ``backend`` is ``bound`` or in PyTorch: then everything stays
    on the GPU and the painting is a tensor of the runtime.
    """
    if backend.runtime == ONNX_RUNTIME:
        return _open_onnx_runtime(backend, path, size, device, threads)
    torch.set_num_threads(threads)
    # Tensor cores want channels last. On a CPU our network takes an eighth longer that way, because its norms convert
    # them back.
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    network = read_in_pytorch(path).to(device, DTYPES[backend.precision]).to(memory_format=order)
    image = torch.from_numpy(sample_photo(size)).to(device, DTYPES[backend.precision]).contiguous(memory_format=order)
    run = torch.compile(network) if backend.mode == "compiled" else network

    def paint() -> Any:
        with torch.inference_mode():
            return run(image)

    return synchronised(paint, device)


def _open_onnx_runtime(
    backend: Backend, path: Path, size: int, device: torch.device, threads: int
) -> Callable[[], Any]:
    picture = sample_photo(size)
    provider = Provider(CUDA if device.type == "cuda" else CPU, "")
    options = session_options(provider)
    options.intra_op_num_threads = threads
    session = open_session(path, provider, options)
    if backend.mode == "bound":
        return _bind(session, picture, device)
    return lambda: session.run(["styled"], {"image": picture}, run_options(session))[0]


def _bind(session: ort.InferenceSession, picture: np.ndarray, device: torch.device) -> Callable[[], Any]:
    """Return a function that runs from the device's memory to the device's memory."""
    image = ort.OrtValue.ortvalue_from_numpy(picture, device.type, 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", image)
    binding.bind_output("styled", device.type, 0)

    def paint() -> Any:
        session.run_with_iobinding(binding, run_options(session))
        binding.synchronize_outputs()
        return binding.get_outputs()[0]

    return paint


def node_placement(path: Path, provider: Provider, folder: Path) -> dict[str, dict[str, int]]:
    """Return how many nodes of each kind each provider ran for a small picture, from a profile in ``folder``."""
    options = session_options(provider)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = open_session(path, provider, options)
    session.run(["styled"], {"image": sample_photo(64)})
    events = json.loads(Path(session.end_profiling()).read_text())
    kinds: dict[str, Counter[str]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kinds.setdefault(event["args"]["provider"], Counter())[event["args"]["op_name"]] += 1
    return {name: dict(counts) for name, counts in kinds.items()}


def largest_differences(
    backends: Sequence[Backend],
    half_precision: Path | None,
    style: Path,
    size: int,
    device: torch.device,
    threads: int,
) -> dict[str, float]:
    """Return each backend's largest difference from ONNX Runtime on the CPU, in 8-bit levels, for the sample photo.

    ``half_precision`` is the style file for the backends in ``fp16``.
    """
    reference = open_backend(Backend(ONNX_RUNTIME, "fp32"), style, size, torch.device("cpu"), threads)()
    differences = {}
    for backend in backends:
        path = half_precision if half_precision and backend.precision == "fp16" else style
        painting = _as_array(open_backend(backend, path, size, device, threads)())
        differences[str(backend)] = float(np.abs(painting - reference).max() * 255)
    return differences


def _as_array(painting: Any) -> np.ndarray:
    """Convert an array, or a tensor of PyTorch or ONNX Runtime on any device."""
    if isinstance(painting, np.ndarray):
        return painting
    array: np.ndarray = painting.float().cpu().numpy() if isinstance(painting, torch.Tensor) else painting.numpy()
    return array
