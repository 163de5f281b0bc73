import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.measuring.first_calls import is_out_of_memory, measure_first_call

CPU = torch.device("cpu")


def allocate(megabytes):
    return lambda: np.ones(megabytes * 2**17)


def run_out_of_memory():
    raise MemoryError


def test_memory_is_measured_in_a_process_of_its_own():
    small, large = (measure_first_call(CPU, "wall", allocate, megabytes) for megabytes in (1, 200))
    assert 190 < large.mib - small.mib < 210 and large.seconds > 0


def test_running_out_of_memory_gives_none_and_other_errors_are_raised():
    assert measure_first_call(CPU, "wall", run_out_of_memory) is None
    with pytest.raises(ValueError):
        measure_first_call(CPU, "wall", allocate, -1)
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
