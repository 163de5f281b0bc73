"""Compare trainings by two processes with the same ones by one. ``torchrun`` runs this file as its program."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

torch = pytest.importorskip("torch")
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast import distributed
from nst_core.fast.starting_network import StartingNetwork
from nst_core.fast.train import Training, TrainingData
from nst_core.fast.transformer import TransformerNetwork
from nst_core.features.catalogue import load_features
from nst_core.pictures.photos import Photos

SHAPE = TransformerSettings(width=4, residual_blocks=1, styles=3)
# At such a small learning rate, rounding errors are still small after a dozen steps. At the usual one, weights that
# differ by one in ten million lead to losses that differ by a tenth, in one process too.
SETTINGS = TrainSettings(network=SHAPE, steps=8, batch=4, crop=64, style_size=64, learning_rate=1e-5, seed=3)


def trainings(weights: str, photos: Path, folder: Path) -> dict:
    """Return, by name, the losses of every step and the final weights; checkpoints go into ``folder``."""
    source, features = Photos(photos, 64), load_features(weights)
    styles = torch.rand(3, 1, 3, 80, 64, generator=torch.Generator().manual_seed(0)).unbind()
    torch.manual_seed(distributed.rank())
    start = StartingNetwork(TransformerNetwork(SHAPE), 0, ("the first one's",))

    def learn(name, settings=SETTINGS, stop_after=None):
        """Train until the last process stops it."""
        losses = []

        def progress(step):
            losses.append(list(step.losses.values()))
            return step.step != stop_after or distributed.rank() != distributed.world_size() - 1

        data = TrainingData(styles, source, features, start)
        done = Training(data, settings, folder / name).run(progress)
        return torch.tensor(losses), flat(done.network)

    results = {"start": (torch.empty(0), flat(start.network)), "whole": learn("whole")}
    results |= {"stopped": learn("parts", stop_after=3), "resumed": learn("parts")}
    # Each process has its own clock; the first one's counts.
    with mock.patch("nst_core.fast.step_budget.monotonic", itertools.count(0, 1 + distributed.rank()).__next__):
        results["minutes"] = learn("minutes", replace(SETTINGS, minutes=0.2))
    return results


def flat(network) -> torch.Tensor:
    """Return the kernels; a bias before an instance norm has no effect, so it learns rounding errors alone."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters() if weight.dim() == 4])


@pytest.fixture(scope="module")
def worlds(slim_weights, samples, tmp_path_factory):
    """The results of one process, those of each of two, and the folder with their files."""
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
    return alone, [torch.load(folder / f"{rank}.results") for rank in (0, 1)], folder


@pytest.mark.parametrize("name", ["whole", "stopped", "resumed", "minutes"])
def test_two_processes_learn_what_one_does(worlds, name):
    """The losses are those of the whole batch, and the networks are the same except for rounding."""
    alone, together, _ = worlds
    losses, weights = alone[name]
    assert len(losses) == {"whole": 8, "stopped": 3, "resumed": 5, "minutes": 12}[name]
    for results in together:
        torch.testing.assert_close(results[name][0], losses, rtol=1e-3, atol=0)
    first, second = (results[name][1] for results in together)
    assert torch.equal(first, second)
    assert (first - weights).norm() < 0.02 * (weights - alone["start"][1]).norm()


def test_only_the_first_process_writes(worlds):
    """So the other one, which may be on another machine, has resumed from what the first one sent it."""
    *_, folder = worlds
    assert sorted(path.name for path in (folder / "0").iterdir()) == ["minutes", "parts", "whole"]
    assert not list((folder / "1").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the names of threads are Linux's own")
def test_no_thread_outlives_the_group(worlds):
    """One that is at work when Python ends would abort the process."""
    *_, folder = worlds
    for rank in (0, 1):
        assert "gloo" not in (folder / f"{rank}.threads").read_text()


def test_batch_that_cannot_be_shared_is_refused(worlds):
    _, together, _ = worlds
    for results in together:
        assert results["refused"] == "2 processes cannot share a batch of 5 evenly; choose a multiple of 2."


def test_single_process_needs_no_group():
    with distributed.process_group("cpu"):
        assert not torch.distributed.is_initialized()
        assert (distributed.rank(), distributed.world_size(), distributed.gather("so"), distributed.batch_share(5)) == (
            0,
            1,
            ["so"],
            slice(0, 5),
        )


def main(weights: str, folder: Path) -> None:
    with distributed.process_group("cpu"):
        results = trainings(weights, folder / "photos", folder / str(distributed.rank()))
        with pytest.raises(StyleError) as refused:
            distributed.batch_share(5)
        rank = distributed.rank()
        torch.save(results | {"refused": str(refused.value)}, folder / f"{rank}.results")
    if sys.platform == "linux":
        names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
        (folder / f"{rank}.threads").write_text("".join(names))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
