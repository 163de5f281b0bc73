import pytest

torch = pytest.importorskip("torch")

from torch import nn

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DecoderSettings, TrainingIntervals
from nst_core.resumable_training import ResumableTraining


class PointwiseTraining(ResumableTraining[DecoderSettings, nn.Conv2d]):
    """Trains a 1x1 convolution to reproduce random pictures; the batch of step ``damaged`` cannot be read."""

    checkpoint_format = 1

    def __init__(self, path, intervals, damaged=None):
        super().__init__(DecoderSettings(steps=10, warmup=1, learning_rate=0.1), path, intervals)
        torch.manual_seed(0)
        self.network, self.damaged = nn.Conv2d(3, 3, 1), damaged
        self.learning = [*self.network.parameters()]
        self.optimizer = torch.optim.Adam(self.learning)

    def next_batch(self):
        if self.step_count + 1 == self.damaged:
            raise StyleError("The photo is damaged.")
        return torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(self.step_count))

    def step(self, batch):
        loss = (self.network(batch) - batch).square().mean()
        self.update(loss)
        return {"pixels": loss.detach()}

    def state(self):
        return {"network": self.network.state_dict()}

    def result(self):
        return self.network


def test_reports_and_checkpoints_come_at_their_intervals(tmp_path):
    path, reports = tmp_path / "a.checkpoint", []

    def progress(step):
        saved = torch.load(path, weights_only=True)["step"] if path.exists() else 0
        reports.append((step.step, saved))
        return True

    PointwiseTraining(path, TrainingIntervals(save=4, report=3)).run(progress)
    assert reports == [(3, 0), (4, 0), (6, 4), (8, 4), (9, 8), (10, 8)]
    assert torch.load(path, weights_only=True)["step"] == 10


def test_checkpoint_is_written_before_an_unreadable_photo_ends_the_training(tmp_path):
    path = tmp_path / "a.checkpoint"
    with pytest.raises(StyleError, match="damaged"):
        PointwiseTraining(path, TrainingIntervals(), damaged=6).run(lambda step: True)
    assert torch.load(path, weights_only=True)["step"] == 5
