"""Train in several processes, as ``torchrun`` starts them: on the GPUs of one machine, or on several machines.

Each process takes its share of every batch. Their gradients are averaged, so all keep the same network, the one that a
single process would have. Without ``torchrun`` every function here works as with a single process.
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


class OtherProcessError(StyleError):
    """An error in another process of the training."""


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the other processes that ``torchrun`` started, if any; all enter and leave the block together.

    ``device`` is as for ``choose_device``; with several GPUs, ``cuda`` then means this process's own. An error that
    leaves the block in one process ends the block in all of them, with the same sentence, as soon as they next wait
    for each other. Raises StyleError if there are fewer GPUs than processes.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched()) or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    # Optimizers import this module, and its functions hold the current group as a default argument. Imported after the
    # group exists, it would keep the group's threads alive, and one still at work when Python ends aborts the process.
    import torch.distributed.nn  # noqa: F401 (only when it is imported matters)

    with _connection_errors():
        # Objects always travel by gloo, gradients by NCCL if they are on a GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if _has_nccl() else "gloo")
    try:
        _claim_device(choose_device(device))
        yield
        gather()
    except Exception as error:
        if not isinstance(error, OtherProcessError):
            with suppress(StyleError):
                _exchange(_sentence(error), None)
        with suppress(StyleError):
            gather()  # the first process may still be saving, and torchrun kills all once one has failed
        raise
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return this process's number; process 0 writes the files and talks to the user."""
    return dist.get_rank() if _is_distributed() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if _is_distributed() else 1


def batch_share(batch: int) -> slice:
    """Return this process's part of a batch. Raises StyleError if the processes cannot share it evenly."""
    share, rest = divmod(batch, world_size())
    if rest:
        raise StyleError(
            f"{world_size()} processes cannot share a batch of {batch} evenly; choose a multiple of {world_size()}."
        )
    return slice(rank() * share, (rank() + 1) * share)


def gather(value: Any = None) -> list[Any]:
    """Return every process's ``value``, in rank order. All processes wait for each other.

    Raises OtherProcessError if one of them has failed.
    """
    return _exchange(None, value) if _is_distributed() else [value]


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each of ``tensors`` with its mean over the processes."""
    if not _is_distributed():
        return
    together = torch.cat([tensor.flatten() for tensor in tensors])
    with _connection_errors():
        dist.all_reduce(together)
    for tensor, total in zip(tensors, together.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor) / world_size())


def broadcast_weights(network: nn.Module) -> None:
    """Copy the first process's weights of ``network`` to all processes."""
    if _is_distributed():
        with _connection_errors():
            for value in network.state_dict().values():
                dist.broadcast(value, 0)


@contextmanager
def local_main_process_first() -> Iterator[None]:
    """Run the block in the first process of each machine before the others there, such as for a download."""
    first = not _is_distributed() or os.environ["LOCAL_RANK"] == "0"
    if not first:
        gather()
    yield
    if first:
        gather()


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def _has_nccl() -> bool:
    return torch.cuda.is_available() and dist.is_nccl_available()


def _claim_device(device: torch.device) -> None:
    if device.type == "mps":
        raise StyleError("Several processes train on NVIDIA GPUs or on CPUs; choose the device cpu.")
    if device.type == "cuda":
        processes, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if processes > gpus:
            raise StyleError(f"There are {processes} processes for {gpus} GPUs; start one for each, or choose cpu.")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _exchange(failure: str | None, value: Any) -> list[Any]:
    messages: list[Any] = [None] * world_size()
    with _connection_errors():
        dist.all_gather_object(messages, (failure, value))
    for message, _ in messages:
        if message is not None:
            raise OtherProcessError(message)
    return [value for _, value in messages]


def _sentence(error: Exception) -> str:
    if isinstance(error, StyleError):
        return str(error)
    return f"Process {rank()} of the training failed ({error!r}); fix that and run the same command again."


@contextmanager
def _connection_errors() -> Iterator[None]:
    """Raise OtherProcessError for what PyTorch raises when a process is gone, usually a closed connection."""
    try:
        yield
    except RuntimeError as error:
        raise OtherProcessError(
            "The other processes of the training cannot be reached; read their messages and give the same command "
            "again."
        ) from error
