"""What the C library does with freed memory."""

import platform
import subprocess
import sys

import pytest

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
