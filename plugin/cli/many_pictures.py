"""Paint many pictures with one command: what to paint, a progress bar, and the list of failures at the end."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nst_core.base.errors import StyleError
from plugin.cli.outputs import PICTURE_SUFFIXES, check_apart, check_folder, write_file
from plugin.cli.reports import Report, say
from plugin.engine.batch.batch_plan import BatchFormats, BatchPlan, BatchSettings, Shard, plan_batch
from plugin.engine.batch.batch_run import Batch, BatchFailure

if TYPE_CHECKING:
    from plugin.engine.fast.fast_painting import FastResult
    from plugin.engine.imaging.picture import Picture
    from plugin.engine.instant.instant_painting import InstantResult
    from plugin.engine.progress import Stopper

BATCH_OPTIONS = ("name", "overwrite", "failures", "jobs", "shard")


Paint: TypeAlias = "Callable[[Picture, Stopper], FastResult | InstantResult]"
Prepare: TypeAlias = Callable[[], object]


@dataclass(frozen=True)
class InStyle:
    """A style, or a mixture, to paint many pictures in.

    Attributes:
        name: what stands for ``{style}`` in the names of results.
        titles: the style as people call it.
        described: the style as the command line names it.
        files: the style files and pictures, which no result may replace.
        paint: paints a picture.
        prepare: loads what all pictures need, and raises StyleError if the style does not run.
    """

    name: str
    titles: str
    described: str
    files: tuple[Path, ...]
    paint: Paint
    prepare: Prepare = lambda: None


def is_batch(options: argparse.Namespace, styles: int = 1) -> bool:
    """Return whether the output is a folder for many results rather than one file."""
    several = len(options.photos) > 1 or styles > 1 or options.photos[0].is_dir()
    return several or any(getattr(options, name, None) is not None for name in BATCH_OPTIONS)


def of_photo(options: argparse.Namespace, photo: Path, output: Path) -> argparse.Namespace:
    """Return the options of a command for one ``photo`` and its ``output``."""
    return argparse.Namespace(**vars(options) | {"photo": photo, "output": output})


def plan_pictures(options: argparse.Namespace, styles: Sequence[str], also_read: Sequence[Path] = ()) -> BatchPlan:
    """Return the paintings to make in the named ``styles``; ``also_read`` are files that no result may replace.

    Raises StyleError for whatever can be known to be wrong before the work.
    """
    from nst_core.pictures.decoding import READ_SUFFIXES

    output: Path = options.output
    if not output.exists() and output.suffix.lower() in PICTURE_SUFFIXES:
        raise StyleError(f"{output} is named like a picture; give a folder for the results.")
    settings = BatchSettings(
        inputs=options.photos,
        output=output,
        styles=styles,
        pattern=options.name or "",
        overwrite=bool(options.overwrite),
        also_read=also_read,
        shard=options.shard or Shard(),
        formats=BatchFormats(READ_SUFFIXES, frozenset(PICTURE_SUFFIXES)),
    )
    plan = plan_batch(settings)
    if options.failures is not None:
        check_folder(options.failures)
        tasks = [*plan.tasks, *plan.skipped]
        inputs = [("photo", task.source) for task in tasks] + [("result", task.target) for task in tasks]
        check_apart([("file of --failures", options.failures)], inputs)
    for note in plan.notes:
        say(options, note)
    return plan


def paint_pictures(
    options: argparse.Namespace, plan: BatchPlan, paint_all: Callable[[Batch], None], notes: set[str]
) -> Report:
    """Paint the pictures of a plan, tell the user the outcome, and return the report.

    ``paint_all`` adds sentences for people to ``notes``. After Ctrl-C the results so far stay, and KeyboardInterrupt is
    raised after a message that says how many are left.
    """
    batch = Batch(plan.tasks)
    try:
        if plan.tasks:
            paint_all(batch)
    except KeyboardInterrupt:
        _summarise(options, plan, batch, notes)
        left = len(plan.tasks) - batch.done
        say(options, f"{left} are left; the same command continues.")
        raise
    return _summarise(options, plan, batch, notes)


def _summarise(options: argparse.Namespace, plan: BatchPlan, batch: Batch, notes: set[str]) -> Report:
    """Say what was painted, skipped and failed, write the file of failures, and return the report."""
    from plugin.engine.machine.memory import peak_rss_mib

    order = {task: number for number, task in enumerate(plan.tasks)}
    failures = sorted(batch.failures, key=lambda failure: order[failure.task])
    lines = [f"{failure.task.source}\t{failure.reason}\n" for failure in failures]
    if options.failures is not None:
        write_file(options.failures, "".join(lines).encode(errors="surrogateescape"))
    for note in sorted(notes):
        say(options, note)
    for line in dict.fromkeys(map(_described, failures)):
        say(options, line)
    rate = len(batch.painted) / batch.seconds if batch.seconds else 0.0
    counts = [f"{len(batch.painted)} painted in {batch.seconds:.1f} s" + (f" ({rate:.2f} a second)" if rate else "")]
    if plan.skipped:
        counts.append(f"{len(plan.skipped)} already painted (--overwrite repaints them)")
    if failures:
        counts.append(f"{len(failures)} failed")
    say(options, f"{options.output}: {', '.join(counts)}")
    return {
        "output": str(options.output),
        "painted": [str(task.target) for task in sorted(batch.painted, key=order.__getitem__)],
        "skipped": [str(task.target) for task in plan.skipped],
        "failed": [
            {"photo": str(failure.task.source), "output": str(failure.task.target), "reason": failure.reason}
            for failure in failures
        ],
        "seconds": round(batch.seconds, 3),
        "pictures_per_second": round(rate, 4),
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "notes": sorted(notes),
    }


def _described(failure: BatchFailure) -> str:
    """Return a sentence that names the picture; most reasons do so already."""
    photo = str(failure.task.source)
    return failure.reason if photo in failure.reason else f"{photo}: {failure.reason}"
