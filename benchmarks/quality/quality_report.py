"""Write the report and the plot of the quality benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring.record_files import Record, markdown_table
from benchmarks.quality.scores import ORIGINS, QualityOptions
from benchmarks.quality.worth import Summary, summarise
from nst_core.losses.metrics import STRIP

START_TITLES = {"noise": "noise", "photo": "the photo"}
METRIC_FORMATS = {"checkerboard": ".1%", "border": ".2f", "ssim": ".2f"}


def quality_report(records: Sequence[Record], options: QualityOptions) -> str:
    """Format all that was measured, in Markdown."""
    styles = summarise(records)
    last = options.iterations[-1]
    photos = len({record["photo"] for record in records})
    return f"""# How good the styles are

{photos} held-out photo{"s" * (photos > 1)} of at most {options.size} pixels a side, with the features, weights and
painting size that each style was trained with. Measured by `python -m benchmarks.quality`. The renders were computed
with `--precision {options.precision}`; the judge is float32.

{_worth_table(styles)}

- *Objective*: the mean over the photos for the fast painting; lower is better.
- *Worth*: the number of iterations after which plain L-BFGS reaches the same mean objective, from noise and from the
  photo; in brackets the least and the most for a single photo. An iteration is one evaluation of the objective and its
  gradient.

{_appearance_table(styles)}

Medians over the photos; in brackets, the same for the render from the photo after {last} iterations.

- *Checkerboard*: the share of what is visible in flat areas that has a period of two or four pixels; 0 is clean.
- *Border*: the difference between the outermost {STRIP} pixels and those inside; up to 1 is as much as lines inside
  differ from each other, more is a halo.
- *SSIM*: structural similarity of the luminance to the photo's (Wang et al. 2004); 1 would be the photo.

The mean objective of the renders, by the number of iterations:

{_objectives_table(styles)}

![Objective against iterations for each style](quality.svg)
"""


def _worth_table(styles: Sequence[Summary]) -> str:
    rows = [
        [s.title, f"{s.fast:.3f}", *(format_worth(s.worth[start], s.iterations) for start in ORIGINS)] for s in styles
    ]
    return markdown_table(["style", "objective", *(f"worth, from {START_TITLES[start]}" for start in ORIGINS)], rows)


def _appearance_table(styles: Sequence[Summary]) -> str:
    rows = [
        [s.title, *(f"{s.look['fast'][n]:{form}} ({s.look['render'][n]:{form}})" for n, form in METRIC_FORMATS.items())]
        for s in styles
    ]
    return markdown_table(["style", "checkerboard", "border", "SSIM"], rows)


def _objectives_table(styles: Sequence[Summary]) -> str:
    rows = [
        [s.title, START_TITLES[start], *(f"{value:.3f}" for value in s.render[start])]
        for s in styles
        for start in ORIGINS
    ]
    return markdown_table(["style", "from", *map(str, styles[0].iterations)], rows)


def format_worth(worth: tuple[float, float, float], iterations: Sequence[int]) -> str:
    """Return ``38 (<10 to 61)`` for a worth and the least and the most worth of a single photo."""

    def word(value: float) -> str:
        if value == 0:
            return f"<{iterations[0]}"
        return f">{iterations[-1]}" if math.isinf(value) else f"{value:.0f}"

    middle, least, most = map(word, worth)
    return f"{middle} ({least} to {most})"


def plot_objectives(records: Sequence[Record], path: Path) -> None:
    """Draw objective against iterations, a panel for each style, with the fast painting as a level line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    styles = summarise(records)
    columns = min(3, len(styles))
    rows = -(-len(styles) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, style in zip(panels, styles, strict=False):
        for start in ORIGINS:
            label = f"from {START_TITLES[start]}"
            panel.loglog(style.iterations, style.render[start], marker="o", markersize=3, label=label)
        panel.axhline(style.fast, color="black", linestyle="--", label="fast")
        panel.set(title=style.title, xlabel="iterations of L-BFGS", ylabel="objective")
        panel.set_xticks(style.iterations, [str(number) for number in style.iterations])
        panel.xaxis.minorticks_off()
        panel.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for set_formatter in (panel.yaxis.set_major_formatter, panel.yaxis.set_minor_formatter):
            set_formatter("{x:g}")
    panels[0].legend()
    for panel in panels[len(styles) :]:
        panel.set_axis_off()
    figure.savefig(path, metadata={"Date": None})
