"""Write the report and the plot of the iterative benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.iterative.methods import CLASSIC, PLAIN
from benchmarks.iterative.race import MOST_OF_DROP
from benchmarks.measuring.record_files import Record, markdown_table

# Column heads by the goal's key in a record, without "time_to_".
GOALS = {"same": "to the classic's loss", "plain": "to the plain's loss", "most": f"to {MOST_OF_DROP:.0%}"}
OPTIMIZER_TITLES = {"lbfgs": "L-BFGS", "adam": "Adam"}
RACE_NOTES = f"""\
- *{CLASSIC}* is plain PyTorch (`benchmarks/classic.py`); *{PLAIN}* is the same algorithm in our engine.
- *Iterations* counts all sizes together; *ms each* is their mean.
- *Drop* is the fall from the photo's loss, relative to the fall that the classic method achieves.
- *To the classic's loss* and *to the plain's loss*: the time to reach their final loss, relative to their whole time.
  *To {MOST_OF_DROP:.0%}*: the time to {MOST_OF_DROP:.0%} of the drop, relative to the classic method's whole time.
  Judging does not count."""


def iterative_report(record: Record) -> str:
    """Format all that was measured, in Markdown."""
    clock = " Seconds are CPU time, which other programs do not lengthen." * (record["clock"] == "cpu")
    return f"""# How fast an iterative render is

{record["machine"]}.{clock} Measured by `python -m benchmarks.iterative`.

All pictures are judged by {record["judge"]} and the default losses at {record["size"]} pixels; the photo's loss is
{record["photo"]:.3f}.

{race_table(record["race"])}

![The loss of each method over its time](iterative.svg)

{RACE_NOTES}

One iteration, the median of {record["turns"]}. *VGG-19's shape* is VGG-19 to relu5_1 with random weights:

{cost_table(record["costs"])}

- *Memory* is the peak of two iterations in a process of their own, loading included.
- *Times the floor*: the time relative to what the convolutions alone would take at the rate of a large matrix product,
  each precision at its own rate, measured in turns with the iterations.
"""


def race_table(standings: Sequence[Record]) -> str:
    """Format a row for each method."""
    rows = [
        [
            r["way"],
            ", ".join(OPTIMIZER_TITLES[name] for name in r["optimizers"]),
            f"{r['iterations']}",
            f"{1000 * r['seconds'] / r['iterations']:,.0f}",
            f"{r['loss']:.3f}",
            f"{r['share_of_drop']:.1%}",
            *("never" if r[f"time_to_{goal}"] is None else f"{r[f'time_to_{goal}']:.3f}" for goal in GOALS),
        ]
        for r in standings
    ]
    head = ["method", "optimiser", "iterations", "ms each", "loss", "drop", *GOALS.values()]
    return markdown_table(head, rows)


def cost_table(costs: Sequence[Record]) -> str:
    """Format a row for each size and method."""
    rows = []
    for r in costs:
        name = [f"{r['size']}", r["way"]]
        if r["seconds"] is None:
            rows.append([*name, "out of memory", "", "", ""])
            continue
        flops = " + ".join(f"{flops / 1e9:,.1f} {precision}" for precision, flops in sorted(r["flops"].items()))
        rows.append([*name, f"{1000 * r['seconds']:,.1f}", f"{r['mib']:,.0f}", flops, f"{r['by_floor']:.2f}"])
    head = ["size", "method", "ms", "memory, MiB", "convolutions, GFLOP", "times the floor"]
    return markdown_table(head, rows)


def plot_race(record: Record, path: Path) -> None:
    """Draw the loss of each method over its time as SVG; both axes are logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in record["curves"].items():
        axes.loglog(curve["seconds"][1:], curve["losses"][1:], label=name)
    axes.set(xlabel="seconds", ylabel="loss", title=f"{record['size']} pixels")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})
