"""Trainings by two processes beside the same ones by one. Under ``torchrun`` this file is the program that they run."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

torch = pytest.importorskip("torch")
from PIL import Image  # noqa: E402

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.base.training_settings import TrainSettings, TransformerSettings  # noqa: E402
from nst_core.fast import distributed as parallel  # noqa: E402
from nst_core.fast.train import Base, train  # noqa: E402
from nst_core.fast.transformer import TransformerNetwork  # noqa: E402
from nst_core.features.catalogue import load_features  # noqa: E402
from nst_core.pictures.photos import Photos  # noqa: E402

SHAPE = TransformerSettings(width=4, residual_blocks=1, styles=3)
# At a learning rate so small, rounding is still as small after a dozen steps: at the usual one, weights that differ by
# one in ten millions come to losses that differ by a tenth, in one process too.
SETTINGS = TrainSettings(network=SHAPE, steps=8, batch=4, crop=64, style_size=64, learning_rate=1e-5, seed=3)


def trainings(weights: str, photos: Path, folder: Path) -> dict:
    """By name, the losses of every step and the weights that came of them; files go into ``folder``."""
    source, features = Photos(photos, 64), load_features(weights)
    styles = torch.rand(3, 1, 3, 80, 64, generator=torch.Generator().manual_seed(0)).unbind()
    torch.manual_seed(parallel.rank())
    start = Base(TransformerNetwork(SHAPE), 0, ("the first one's",))

    def learn(name, settings=SETTINGS, stop_after=None):
        """Stopped by the last of the processes."""
        losses = []

        def progress(step):
            losses.append(list(step.losses.values()))
            return step.step != stop_after or parallel.rank() != parallel.size() - 1

        done = train(styles, source, features, settings, progress, folder / name, start)
        return torch.tensor(losses), flat(done.network)

    found = {"start": (torch.empty(0), flat(start.network)), "whole": learn("whole")}
    found |= {"stopped": learn("parts", stop_after=3), "resumed": learn("parts")}
    # Each process has a clock of its own; that of the first one counts.
    with mock.patch("nst_core.fast.train.monotonic", itertools.count(0, 1 + parallel.rank()).__next__):
        found["minutes"] = learn("minutes", replace(SETTINGS, minutes=0.2))
    return found


def flat(network) -> torch.Tensor:
    """The kernels: a bias ahead of an instance norm does nothing, so what it learns is rounding alone."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters() if weight.dim() == 4])


@pytest.fixture(scope="module")
def worlds(slim_weights, samples, tmp_path_factory):
    """What is found by one process, and by each of two; and the folder with a folder of files for each of the two."""
    folder = tmp_path_factory.mktemp("worlds")
    for name in ("photos", "alone", "0", "1"):
        (folder / name).mkdir()
    for number in range(7):
        photo = Image.open(samples / ("chelsea.jpg", "coffee.jpg")[number % 2])
        photo.crop((number * 10, 0, number * 10 + 100 + 9 * number, 150)).save(folder / "photos" / f"{number}.png")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([*command, slim_weights, folder], check=True, env=environment, timeout=300)
    alone = trainings(str(slim_weights), folder / "photos", folder / "alone")
    return alone, [torch.load(folder / f"{rank}.found") for rank in (0, 1)], folder


@pytest.mark.parametrize("name", ["whole", "stopped", "resumed", "minutes"])
def test_two_processes_learn_what_one_does(worlds, name):
    """The losses are those of the whole batch, and the networks are the same but for rounding."""
    alone, together, _ = worlds
    losses, weights = alone[name]
    assert len(losses) == {"whole": 8, "stopped": 3, "resumed": 5, "minutes": 12}[name]
    for found in together:
        torch.testing.assert_close(found[name][0], losses, rtol=1e-3, atol=0)
    first, second = (found[name][1] for found in together)
    assert torch.equal(first, second)
    assert (first - weights).norm() < 0.02 * (weights - alone["start"][1]).norm()


def test_the_first_process_alone_writes(worlds):
    """So the other one, which may be on another machine, has resumed from what the first one told it."""
    *_, folder = worlds
    assert sorted(path.name for path in (folder / "0").iterdir()) == ["minutes", "parts", "whole"]
    assert not list((folder / "1").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the names of threads are Linux's own")
def test_no_thread_outlives_the_group(worlds):
    """One that is at work when Python ends takes the process down with it."""
    *_, folder = worlds
    for rank in (0, 1):
        assert "gloo" not in (folder / f"{rank}.threads").read_text()


def test_a_batch_that_cannot_be_shared_is_refused(worlds):
    _, together, _ = worlds
    for found in together:
        assert found["refused"] == "2 processes cannot share a batch of 5 evenly; choose a multiple of 2."


def test_a_process_alone_is_a_world_of_its_own():
    with parallel.joined("cpu"):
        assert not torch.distributed.is_initialized()
        assert (parallel.rank(), parallel.size(), parallel.agreed("so"), parallel.share(5)) == (
            0,
            1,
            ["so"],
            slice(0, 5),
        )


def main(weights: str, folder: Path) -> None:
    with parallel.joined("cpu"):
        found = trainings(weights, folder / "photos", folder / str(parallel.rank()))
        with pytest.raises(StyleError) as refused:
            parallel.share(5)
        rank = parallel.rank()
        torch.save(found | {"refused": str(refused.value)}, folder / f"{rank}.found")
    if sys.platform == "linux":
        names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
        (folder / f"{rank}.threads").write_text("".join(names))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
