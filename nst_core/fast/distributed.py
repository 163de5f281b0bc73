"""One training by several processes, as ``torchrun`` starts them: on the GPUs of one machine, or on several machines.

Each takes its share of every batch and their gradients are averaged, so that all keep the same network, the one that a
single process would have. Without ``torchrun`` every function here stands for a world of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.devices import choose_device


class FailedElsewhere(StyleError):
    """What went wrong in another process."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Together with the other processes that ``torchrun`` started, if there are any; they begin and end together.

    ``device`` is as for ``choose_device``; of several GPUs, ``cuda`` is then this process's own. An error that leaves
    the block ends the blocks of all with its sentence, each when it next needs the others. Raises StyleError if there
    are fewer GPUs than processes.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched()) or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    # Optimizers import it, and its functions keep the group that there is by then as the default of an argument: the
    # group's threads would go on after its end, and abort the process if one is still at work when Python ends.
    import torch.distributed.nn  # noqa: F401

    with _others_needed():
        # What is agreed on travels by gloo in any case, and gradients by NCCL where they are on a GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if _nccl() else "gloo")
    try:
        _take_device(choose_device(device))
        yield
        agreed()
    except Exception as error:
        if not isinstance(error, FailedElsewhere):
            with suppress(StyleError):
                _exchange(_sentence(error), None)
        with suppress(StyleError):
            agreed()  # the first process may still be saving, and torchrun ends all when one has ended in failure
        raise
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """The number of this process; the first, 0, is the one that writes files and speaks."""
    return dist.get_rank() if _several() else 0


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if _several() else 1


def share(batch: int) -> slice:
    """This process's part of a batch. Raises StyleError if the processes cannot share it evenly."""
    each, left = divmod(batch, size())
    if left:
        raise StyleError(f"{size()} processes cannot share a batch of {batch} evenly; choose a multiple of {size()}.")
    return slice(rank() * each, (rank() + 1) * each)


def agreed(value: Any = None) -> list[Any]:
    """What every process says, in order: the word of the first is at 0. All wait for each other.

    Raises FailedElsewhere if one of them has failed.
    """
    return _exchange(None, value) if _several() else [value]


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each of ``tensors`` by its mean over the processes."""
    if not _several():
        return
    together = torch.cat([tensor.flatten() for tensor in tensors])
    with _others_needed():
        dist.all_reduce(together)
    for tensor, total in zip(tensors, together.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor) / size())


def take_over(network: nn.Module) -> None:
    """Give every process the weights of the first one's ``network``."""
    if _several():
        with _others_needed():
            for value in network.state_dict().values():
                dist.broadcast(value, 0)


@contextmanager
def first_here_first() -> Iterator[None]:
    """The first process on each machine does what is in the block before the others there do: a download, say."""
    first = not _several() or os.environ["LOCAL_RANK"] == "0"
    if not first:
        agreed()
    yield
    if first:
        agreed()


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()


def _nccl() -> bool:
    return torch.cuda.is_available() and dist.is_nccl_available()


def _take_device(device: torch.device) -> None:
    if device.type == "mps":
        raise StyleError("Several processes train on NVIDIA GPUs or on processors; choose the device cpu.")
    if device.type == "cuda":
        processes, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if processes > gpus:
            raise StyleError(f"There are {processes} processes for {gpus} GPUs; start one for each, or choose cpu.")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _exchange(failure: str | None, value: Any) -> list[Any]:
    heard: list[Any] = [None] * size()
    with _others_needed():
        dist.all_gather_object(heard, (failure, value))
    for said, _ in heard:
        if said is not None:
            raise FailedElsewhere(said)
    return [value for _, value in heard]


def _sentence(error: Exception) -> str:
    if isinstance(error, StyleError):
        return str(error)
    return f"Process {rank()} of the training failed ({error!r}); mend that and give the same command again."


@contextmanager
def _others_needed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # a connection that is closed, above all
        raise FailedElsewhere(
            "The other processes of the training cannot be reached; see what they say and give the same command again."
        ) from error
