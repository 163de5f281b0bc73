"""Fuzz the readers of the product: ``python -m tests.fuzz --cases 100000``.

Each target runs in processes of its own, so a crash, a hang or a run out of memory ends only a batch of cases. A
failure is printed, and its case is written to the folder of ``--failures``; ``--replay FILE`` runs it again. The exit
code is 1 if there are failures.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

BATCH = 500  # cases of a process
CPU_SECONDS, SECONDS = 20, 300  # of a case; the second is for those that wait
# A picture within the limits below takes far less; a bomb that gets through takes more.
LARGEST_MEMORY = 1.5 * 2**30
ADDED_MEMORY = 3 * 2**30  # that a process may take when its modules are loaded; more is a MemoryError
FREE_MEMORY = 2**28 + 2**27  # what a case believes to be free: pictures of up to 2.8 megapixels pass the check


@dataclass(frozen=True)
class CaseBatch:
    """A process's cases: of a target, this many, made from a seed."""

    target: str
    cases: int
    seed: int


def run_batch(batch: CaseBatch, case_file: Path) -> int:
    """Run a batch in this process; return the number of cases. Each is first written to ``case_file``.

    Raises what a case raises, after Hypothesis has made it as small as it can.
    """
    from hypothesis import HealthCheck, Phase, given, seed, settings

    from tests.fuzz.targets import TARGETS

    _limit_pictures()
    _limit_memory()
    target, run = TARGETS[batch.target], 0

    @seed(batch.seed)
    @settings(
        max_examples=batch.cases,
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(target.strategy())
    def check(case: object) -> None:
        nonlocal run
        run += 1
        case_file.write_bytes(pickle.dumps((batch.target, case)))
        _start_clocks()
        target.check(case)

    check()
    _check_memory_taken()
    return run


def _limit_pictures() -> None:
    """Refuse pictures that are merely large, so no case spends its time on one."""
    from nst_core.pictures import photos
    from plugin.engine.machine import memory

    memory.available_memory = lambda: FREE_MEMORY
    photos.MOST_PIXELS = 2**21


def _limit_memory() -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ADDED_MEMORY,) * 2)


def _start_clocks() -> None:
    # The default actions of both signals end the process, whatever it is doing.
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)


def _check_memory_taken() -> None:
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10
    assert taken < LARGEST_MEMORY, f"the batch took {taken / 2**20:.0f} MiB"


def batches(cases: int, seed: int, targets: list[str]) -> list[CaseBatch]:
    """Split the cases among the targets, by their shares, and into batches."""
    from tests.fuzz.targets import TARGETS

    whole = sum(TARGETS[name].share for name in targets)
    result = []
    for name in targets:
        left = round(cases * TARGETS[name].share / whole)
        while left > 0:
            result.append(CaseBatch(name, min(left, BATCH), seed + len(result)))
            left -= BATCH
    return result


def start_batch(batch: CaseBatch, failures: Path) -> tuple[int, str]:
    """Run a batch in a process of its own; return the number of its cases, and the text of a failure."""
    case_file = failures / f"case-{os.getpid()}"
    command = [sys.executable, "-m", "tests.fuzz", "--batch", batch.target, str(batch.cases), str(batch.seed)]
    done = subprocess.run([*command, "--failures", str(case_file)], capture_output=True, text=True, errors="replace")
    last = done.stdout.splitlines()[-1:] or [""]
    if done.returncode == 0:
        case_file.unlink(missing_ok=True)
        return int(last[0]), ""
    kind = signal.Signals(-done.returncode).name if done.returncode < 0 else "an error"
    kept = failures / f"{batch.target}-{batch.seed}.case"
    if case_file.exists():
        case_file.rename(kept)
    return 0, f"{batch}: {kind}; python -m tests.fuzz --replay {kept}\n{done.stderr[-4000:]}"


def replay(file: Path) -> None:
    """Run a failure again."""
    from tests.fuzz.targets import TARGETS

    _limit_pictures()
    _limit_memory()
    name, case = pickle.loads(file.read_bytes())  # which this program wrote
    print(name, repr(case)[:2000])
    _start_clocks()
    TARGETS[name].check(case)
    _check_memory_taken()


def fuzz(options: argparse.Namespace) -> int:
    """Run all batches and print a line for each target; return the number of failures."""
    from tests.fuzz.targets import TARGETS

    options.failures.mkdir(parents=True, exist_ok=True)
    done, failures, began = dict.fromkeys(options.targets or TARGETS, 0), [], time.monotonic()
    for batch in batches(options.cases, options.seed, list(done)):
        cases, failure = start_batch(batch, options.failures)
        done[batch.target] += cases
        if failure:
            failures.append(failure)
            print(failure, flush=True)
        else:
            print(f"{batch.target} {batch.seed}: {cases} cases", file=sys.stderr, flush=True)
    for name, cases in done.items():
        print(f"{name}: {cases} cases")
    print(f"{sum(done.values())} cases in {time.monotonic() - began:.0f} s, {len(failures)} failures")
    return len(failures)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers of the product.")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other cases")
    parser.add_argument(
        "--failures", type=Path, default=Path("fuzz-failures"), help="where to write the cases that fail"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a failure again")
    parser.add_argument("--batch", nargs=3, help=argparse.SUPPRESS)  # a process of this program
    parser.add_argument("targets", nargs="*", help="what to fuzz (default: all)")
    options = parser.parse_args()
    if options.replay:
        replay(options.replay)
        return 0
    if not options.batch:
        return min(1, fuzz(options))
    faulthandler.enable()
    name, cases, seed = options.batch
    try:
        print(run_batch(CaseBatch(name, int(cases), int(seed)), options.failures))
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
