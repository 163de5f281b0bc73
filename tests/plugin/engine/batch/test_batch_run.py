"""How a batch is painted: several at a time, failures among the others, and an early end."""

import threading
from pathlib import Path

import pytest

from nst_core.base.errors import StyleError
from plugin.engine.batch.batch_plan import BatchTask
from plugin.engine.batch.batch_run import Batch
from plugin.engine.progress import StoppedError, Stopper


@pytest.fixture
def tasks(tmp_path) -> list[BatchTask]:
    """Ten pictures to paint into two folders that do not exist."""
    return [BatchTask(Path(f"{n}.jpg"), tmp_path / f"out/{n % 2}/{n}.jpg") for n in range(10)]


def write(task: BatchTask) -> None:
    """Paint a picture, as far as a batch knows."""
    task.target.write_text(str(task.source))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_picture_is_painted_once(tasks, jobs):
    batch, shown = Batch(tasks), []
    batch.run(write, lambda: shown.append(batch.done), jobs)
    assert sorted(batch.painted, key=tasks.index) == tasks and not batch.failures
    assert shown == list(range(1, 11))
    assert all(task.target.read_text() == str(task.source) for task in tasks)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StyleError("It is no picture; choose another."), "It is no picture; choose another."),
        (OSError(28, "No space left on device", "out/3.jpg"), "out/3.jpg cannot be read or written (No space left"),
        (ZeroDivisionError("division\nby zero"), "failed unexpectedly (ZeroDivisionError: division by zero)"),
    ],
)
def test_one_failure_does_not_end_the_others(tasks, error, words):
    def paint(task: BatchTask) -> None:
        if task is tasks[3]:
            raise error
        write(task)

    batch = Batch(tasks)
    batch.run(paint, jobs=2)
    assert len(batch.painted) == 9
    (failure,) = batch.failures
    assert failure.task is tasks[3] and words in failure.reason


def test_folder_that_cannot_be_made_is_a_failure(tasks, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/1").write_text("a file")
    batch = Batch(tasks)
    batch.run(write)
    assert len(batch.painted) == 5 and len(batch.failures) == 5


def test_pictures_are_worked_on_at_the_same_time(tasks):
    meeting = threading.Barrier(2, timeout=60)

    def paint(task: BatchTask) -> None:
        meeting.wait()
        write(task)

    batch = Batch(tasks)
    batch.run(paint, jobs=2)
    assert len(batch.painted) == 10


@pytest.mark.parametrize("jobs", [1, 3])
def test_stopper_ends_the_work_and_keeps_what_is_painted(tasks, jobs):
    stopper = Stopper()

    def paint(task: BatchTask) -> None:
        if task is tasks[4]:
            stopper.stop()
        stopper.check()
        write(task)

    batch = Batch(tasks)
    batch.run(paint, jobs=jobs, stopper=stopper)
    assert {task.target for task in batch.painted} == {task.target for task in tasks if task.target.exists()}
    assert len(batch.painted) <= 4 and not batch.failures


def test_cancelled_picture_ends_the_work(tasks):
    def paint(task: BatchTask) -> None:
        if task is tasks[2]:
            raise StoppedError
        write(task)

    batch = Batch(tasks)
    batch.run(paint)
    assert batch.painted == tasks[:2] and batch.done == 2
