"""Write the report of the benchmark of likeness."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from benchmarks.likeness.measures import SIDE, STEADY_NOISE
from benchmarks.likeness.portraits import detail_title
from benchmarks.measuring.record_files import Record, markdown_table

NUMBER_FORMATS = {
    "faces": ".0f",
    "content": ".3f",
    "plain_style": ".3f",
    "centred_style": ".3f",
    "colour": ".3f",
    "ssim": ".2f",
    "patterns": ".3f",
    "patterns_used": ".1%",
    "checkerboard": ".1%",
    "border": ".2f",
    "unsteadiness": ".1f",
    "objective": ".3f",
}
COLUMNS = (
    "faces",
    "content",
    "style",
    "centred",
    "colour",
    "SSIM",
    "patterns",
    "used",
    "mesh",
    "border",
    "noise",
    "loss",
)


def likeness_report(records: Sequence[Record], portraits: int) -> str:
    """Format all that was measured, in Markdown; ``portraits`` is the number of photos with a face."""
    return f"""# What the styles keep and what they take

Photos and paintings of {SIDE} pixels on the longer side. Measured by `python -m benchmarks.likeness`.

{_table(records)}

- *Faces*: in how many of {portraits} portraits OpenCV's detector still finds the face, in the same place.
- *Content*: distance of the features relu3_1 and relu4_1 from the photo's, relative to their size; 0 is the photo.
- *Style*: distance of the plain Gram matrices from the painting's, relative to the photo's distance; 0 is the painting.
- *Centred*: the style loss of training, with Gram matrices centred on the painting's mean.
- *Colour*: distance of the colours from the painting's; 1 is from black to white.
- *SSIM*: structural similarity of the luminance to the photo's; 1 is the photo.
- *Patterns*: how well small patterns resemble those of the painting (mean cosine); *used*: the share of the painting's
  patterns that occur.
- *Mesh*: the share of patterns with a period of two or four pixels in flat areas. *Border*: more than 1 is a halo.
- *Noise*: how much two paintings of a photo differ, in 8-bit levels, if the photo has different noise of
  {255 * STEADY_NOISE:.0f} levels; the worst photo.
- *Loss*: the objective that the bold end was trained with, of the paintings of held-out photos at 256 pixels.
"""


def _table(records: Sequence[Record]) -> str:
    rows = [[record["title"], detail_title(record["detail"]), *_cells(record)] for record in records]
    defaults = [record for record in records if record["default"]]
    means = {name: fmean(record[name] for record in defaults) for name in NUMBER_FORMATS}
    return markdown_table(["style", "", *COLUMNS], [*rows, ["mean of the defaults", "", *_cells(means)]])


def _cells(record: Record) -> list[str]:
    return [format(record[name], form) for name, form in NUMBER_FORMATS.items()]
