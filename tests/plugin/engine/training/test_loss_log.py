import pytest

pytest.importorskip("torch")

from nst_core.fast.train import TrainProgress
from plugin.engine.training.loss_log import LossLog


def write_steps(path, steps, resumed=0):
    with LossLog(path, resumed) as log:
        for step in steps:
            log.add(TrainProgress(step, 9, {"style": step / 10, "total": 1 / 3}))


def test_file_appears_with_the_first_step(tmp_path):
    with LossLog(tmp_path / "x.csv"):
        pass
    assert not list(tmp_path.iterdir())
    write_steps(tmp_path / "x.csv", [1, 2])
    assert (tmp_path / "x.csv").read_text() == "step,style,total\n1,0.100000,0.333333\n2,0.200000,0.333333\n"


def test_resumed_log_drops_steps_after_the_checkpoint(tmp_path):
    write_steps(tmp_path / "x.csv", [1, 2, 3, 4])
    write_steps(tmp_path / "x.csv", [3], resumed=2)
    assert [row.split(",")[0] for row in (tmp_path / "x.csv").read_text().splitlines()] == ["step", "1", "2", "3"]


def test_rows_are_on_the_disk_at_once(tmp_path):
    path = tmp_path / "x.csv"
    with LossLog(path) as log:
        for step in (1, 2):
            log.add(TrainProgress(step, 9, {"total": 1 / 4}))
            assert path.read_text().splitlines()[-1] == f"{step},0.250000"


def test_resumed_log_drops_damaged_rows(tmp_path):
    path = tmp_path / "x.csv"
    text = "step,total\n1,3\n\nx,3\n2,3\n3,3\n4"
    path.write_text(text)
    with LossLog(path, 2) as log:
        assert path.read_text() == text  # it stays until there is a new row
        log.add(TrainProgress(3, 9, {"total": 1 / 4}))
        assert path.read_text() == "step,total\n1,3\n2,3\n3,0.250000\n"
