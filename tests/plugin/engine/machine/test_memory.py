"""How much memory there is, and what the C library does with freed memory."""

import mmap
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugin.engine.machine import memory

# Prints the pages that the system hands out to the second of two rounds that allocate, write and free the same blocks.
# The blocks are smaller than those for which NumPy asks for large pages.
PAGES = """
import resource, sys
import numpy as np
from plugin.engine.machine.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
if sys.argv[1] == "command":
    from plugin.cli.main import main
    main(["styles"])
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(3 * 2**18, np.float32) for _ in range(16)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# Prints this process's memory in MiB: with blocks freed between blocks in use, and after a failed check.
BETWEEN = """
from pathlib import Path
import numpy as np
from plugin.engine.machine.memory import TooLargeError, check_memory, keep_freed_memory
def used():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) // 2**10
keep_freed_memory()
blocks = [np.ones(2**size, np.float32) for _ in range(16) for size in (21, 10)]
del blocks[::2]
kept = used()
try:
    check_memory(2**40, 96, False)
except TooLargeError:
    print(kept, used())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_freed_memory_is_reused():
    """Freed memory is reused after keep_freed_memory, which the command line calls too."""
    kept, after_command, given_back = (
        int(subprocess.run([sys.executable, "-c", PAGES, way], capture_output=True, check=True).stdout.split()[-1])
        for way in ("keep", "command", "give back")
    )
    assert kept < given_back / 10 and after_command < given_back / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_freed_memory_is_given_back_if_memory_is_short():
    output = subprocess.run([sys.executable, "-c", BETWEEN], capture_output=True, check=True).stdout
    kept, left = map(int, output.split())
    assert kept > left + 100  # of 128 MiB


def group(folder, limit, used, droppable, version=2):
    """Write a control group's files as the kernel shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    total = "" if version == 2 else "total_"
    (folder / "memory.stat").write_text(
        f"anon 1\n{total}inactive_file {droppable - droppable // 4}\n{total}active_file {droppable // 4}\n"
    )


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A folder in place of that of the control groups, and a function that says which the process is in."""
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "own")
    return tmp_path, (tmp_path / "own").write_text


def test_container_is_limited_by_its_group(groups):
    folder, write_own = groups
    write_own("0::/\n")
    group(folder, 2**24, 2**23, 2**20)
    assert memory.available_memory() == 2**23 + 2**20
    group(folder, "max", 2**23, 0)
    assert memory.available_memory() > 2**24
    group(folder, 2**22, 2**23, 0)
    assert memory.available_memory() == 0


def test_systemd_scope_and_its_parents_limit_the_process(groups):
    folder, write_own = groups
    write_own("0::/user.slice/user-1000.slice/run-u1.scope\n")
    group(folder / "user.slice/user-1000.slice/run-u1.scope", 2**24, 2**22, 0)
    assert memory.available_memory() == 2**24 - 2**22
    group(folder / "user.slice", 2**23, 2**22, 0)
    assert memory.available_memory() == 2**22


def test_groups_of_version_1_limit_the_process(groups):
    folder, write_own = groups
    write_own("9:name=systemd:/\n4:cpu,memory:/job/17\n0::/\n")
    group(folder / "memory/job/17", 2**24, 2**22, 2**20, version=1)
    group(folder / "memory", 9223372036854771712, 2**30, 0, version=1)
    assert memory.available_memory() == 2**24 - 2**22 + 2**20
    write_own("4:memory:/docker/of-the-host\n")  # which a container does not see
    group(folder / "memory", 2**23, 2**22, 0, version=1)
    assert memory.available_memory() == 2**22


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this limit")
def test_address_space_limit_counts():
    program = """
import resource
from plugin.engine.machine.memory import available_memory
resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
print(available_memory())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert 2**26 < int(done.stdout) < 2**28


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this limit")
def test_limit_of_a_painting_in_another_thread_does_not_count():
    """A painting may reserve addresses without taking memory, as threads and libraries do."""
    with memory.within_free_memory(), mmap.mmap(-1, memory.available_memory() // 4 * 3):
        with ThreadPoolExecutor(1) as pool:
            free = pool.submit(memory.available_memory).result()
        assert free > memory._machine_memory() // 2
