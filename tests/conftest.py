"""What the tests share: the assets folder if there is one, and small real pictures, networks and style files."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send to themselves and to
# the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
SAMPLES = ROOT / "plugin" / "samples"


@pytest.fixture(scope="session")
def assets() -> Path:
    """Weights, paintings and photos that are too large or not ours to ship; without them the test is skipped."""
    folder = Path(os.environ.get("NEURAL_STYLE_ASSETS", ROOT.parent / "shared"))
    if not (folder / "weights").is_dir():
        pytest.skip("NEURAL_STYLE_ASSETS names no folder with weights/")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """Our own sample photos."""
    return SAMPLES


@pytest.fixture(scope="session")
def slim_weights(tmp_path_factory) -> Path:
    """A feature network file in the slim layout with heads, tiny and random: for plumbing, never for a picture."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    channels = [3, 6, 6, 8, 8, 8]

    def convolution(out: int, into: int, size: int) -> torch.Tensor:
        return torch.randn(out, into, size, size, generator=generator) * (2 / (into * size * size)) ** 0.5

    state = {"conv0.weight": torch.eye(3)[..., None, None].contiguous(), "conv0.bias": torch.full((3,), -0.5)}
    for block, count in enumerate((2, 2, 4, 4, 1), 1):
        for number in range(1, count + 1):
            into = channels[block - 1] if number == 1 else channels[block]
            state[f"conv{block}{number}.weight"] = convolution(channels[block], into, 3)
            state[f"conv{block}{number}.bias"] = torch.zeros(channels[block])
        state[f"conv{block}1_aux.weight"] = convolution(12, channels[block], 1)
        state[f"conv{block}1_aux.bias"] = torch.zeros(12)
    path = tmp_path_factory.mktemp("weights") / "slim.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory) -> Path:
    """Twelve crops of our own sample photos."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        photo = Image.open(SAMPLES / ("chelsea.jpg", "coffee.jpg", "rocket.jpg")[number % 3])
        photo.crop((number * 10, 0, number * 10 + 150, 150)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def start_engine():
    """A function that starts a worker with this checkout's engine."""
    from plugin.engine.process.remote import RemoteEngine, start_worker

    def start(*arguments: Path | str) -> RemoteEngine:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from plugin.engine.process import worker; worker.main()"
        return start_worker([sys.executable, "-c", code, *arguments])

    return start


@pytest.fixture(scope="session")
def remote(start_engine):
    """An engine in a worker process."""
    engine = start_engine()
    yield engine
    engine.close()


@pytest.fixture
def full_disk():
    """A context in which no file of this process grows beyond a kilobyte: what a full disk does to a write."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def noise() -> np.ndarray:
    """A random picture with a gradient of alpha: float32 [37, 51, 4]."""
    pixels = np.random.default_rng(0).random((37, 51, 4), np.float32)
    pixels[..., 3] = np.linspace(0, 1, 51, dtype=np.float32)
    return pixels


@pytest.fixture
def half_flat_photo():
    """Flat at the top and rough at the bottom, with slow changes everywhere: a tensor [3, 128, 160]."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    slow = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 5, generator=generator), (128, 160), mode="bicubic")[0]
    rough = torch.rand(3, 128, 160, generator=generator) * torch.linspace(-0.5, 0.5, 128).clamp(min=0)[:, None]
    return 0.4 + 0.05 * slow + 0.3 * rough


@pytest.fixture(scope="session")
def read_photo():
    """A function that reads a picture as a tensor [1, 3, h, w] in 0..1, of at most ``size`` pixels a side."""
    torch = pytest.importorskip("torch")
    from PIL import Image

    def read(path: Path, size: int):
        with Image.open(path) as image:
            image.thumbnail((size, size))
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255

    return read
