"""Pictures of how a render went, for people: sheets of labelled pictures, plots, tables (CSV) and animations.

Every file is written whole or not at all; one that cannot be raises StyleError.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.studies.sheets import Sheet
from plugin.cli.picture_files import check_folder
from plugin.engine.progress import Progress

LOSSES_SUFFIXES = {".csv", ".png"}
ANIMATION_SUFFIXES = {".gif", ".mp4", ".webp"}
ANIMATION_SIDE = 512  # at most so many pixels a side: an animation is to be looked at, not to be printed
FRAME_MS, LAST_FRAME_MS = 80, 2000

MARGIN, GAP, LEAST_COLUMN, LABEL_COLUMN = 24, 16, 160, 150  # pixels of a sheet
INK, FAINT, PAPER = (20, 20, 20), (100, 100, 100), (255, 255, 255)


def check_matplotlib() -> None:
    """Raise StyleError, saying what to do, if plots cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise StyleError("Plots need matplotlib, which is not installed; install it with `pip install matplotlib`.")


def check_av() -> None:
    """Raise StyleError, saying what to do, if films cannot be encoded."""
    if importlib.util.find_spec("av") is None:
        raise StyleError("An MP4 needs PyAV, which is not installed; install it with `pip install av`.")


def write_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """A CSV file with a line for each of ``rows``, and a column for each name that one of them has."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    _write(path, text.getvalue().encode())


def write_losses(title: str, rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Losses as a table (.csv) or as a plot (.png), where ``iteration`` says how many came before each of ``rows``.

    The plot's axis is logarithmic; a value of 0 leaves a gap in it.
    """
    if path.suffix.lower() == ".csv":
        write_table(rows, path)
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name in rows[0]:
        if name != "iteration":
            line = [[row[key] for row in rows] for key in ("iteration", name)]
            axes.plot(*line, label=name, linewidth=2.5 if name == "total" else 1.3)
    axes.set_yscale("log", nonpositive="mask")
    ends = [value for name, value in rows[-1].items() if name != "iteration" and value > 0]
    if ends:  # the content's loss begins at next to nothing, which would leave the others little of the height
        axes.set_ylim(bottom=max(axes.get_ylim()[0], min(ends) / 10))
    axes.set(title=title, xlabel="iterations", ylabel="weighted loss")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    _write(path, drawn.getvalue())


def write_animation(frames: Sequence[np.ndarray], path: Path) -> None:
    """A GIF or WebP that runs for ever, or an MP4, and rests at its end; all ``frames``, uint8 [h, w, 3], get the last
    one's size.

    That is reduced to ANIMATION_SIDE pixels if it is larger.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[-1].thumbnail((ANIMATION_SIDE, ANIMATION_SIDE))
    pictures = [picture.resize(pictures[-1].size, Image.Resampling.BICUBIC) for picture in pictures]
    encoded = io.BytesIO()
    if path.suffix.lower() == ".mp4":
        _encode_film(pictures, encoded)
    else:
        first, *others = pictures
        durations = [FRAME_MS] * len(others) + [LAST_FRAME_MS]
        kind = path.suffix[1:].upper()
        first.save(encoded, kind, save_all=True, append_images=others, duration=durations, loop=0, quality=85)
    _write(path, encoded.getvalue())


def _encode_film(pictures: Sequence[Image.Image], file: io.BytesIO) -> None:
    """H.264 in an MP4, with colours at half the resolution: what every browser and telephone plays."""
    import av

    with av.open(file, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=Fraction(1000, FRAME_MS))
        stream.pix_fmt = "yuv420p"
        stream.width, stream.height = (side // 2 * 2 for side in pictures[-1].size)  # it takes no odd ones
        for picture in [*pictures, *[pictures[-1]] * (LAST_FRAME_MS // FRAME_MS - 1)]:
            frame = av.VideoFrame.from_image(picture.crop((0, 0, stream.width, stream.height)))
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


@dataclass
class Recording:
    """What a render leaves beside its picture, if it was asked for: its losses, and an animation of its pictures.

    ``losses`` is a table (.csv) or a plot (.png). ``animation`` gets the first picture, that of every ``every``-th
    iteration, and the last. Raises StyleError, before any work is done, if one of them could not be written.
    """

    losses: Path | None
    animation: Path | None
    every: int
    _rows: list[dict[str, float]] = field(default_factory=list, init=False, repr=False)
    _frames: list[np.ndarray] = field(default_factory=list, init=False, repr=False)
    _last: Progress | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for path, suffixes in ((self.losses, LOSSES_SUFFIXES), (self.animation, ANIMATION_SUFFIXES)):
            if path is None:
                continue
            check_folder(path)
            if path.suffix.lower() not in suffixes:
                raise StyleError(f"{path.name} should end in {' or '.join(sorted(suffixes))}; name it so.")
        if self.losses is not None and self.losses.suffix.lower() == ".png":
            check_matplotlib()
        if self.animation is not None and self.animation.suffix.lower() == ".mp4":
            check_av()

    def add(self, step: Progress) -> None:
        """Take note of an iteration."""
        if step.iteration == 1:  # also where a render begins again, at a smaller size for want of memory
            self._rows.clear()
            self._frames.clear()
        self._rows.append({"iteration": step.iteration - 1, **step.losses})  # they are those before it
        self._last = step
        if self.animation is not None and (step.iteration % self.every == 0 or step.iteration == 1):
            self._frames.append(_frame(step))

    def write(self) -> dict[str, str]:
        """Write what was asked for; returns the files by what they are."""
        if self._last is None:
            return {}
        written = {}
        if self.losses is not None:
            write_losses("Losses of the render", self._rows, self.losses)
            written["losses_file"] = str(self.losses)
        if self.animation is not None:
            ended = self._last.iteration % self.every == 0 or self._last.iteration == 1
            write_animation(self._frames if ended else [*self._frames, _frame(self._last)], self.animation)
            written["animation"] = str(self.animation)
        return written


def _frame(step: Progress) -> np.ndarray:
    assert step.preview is not None  # every iteration has one
    return np.round(step.preview * 255).astype(np.uint8)


# ---- sheets -----------------------------------------------------------------------------------------------------


def write_sheet(sheet: Sheet, path: Path) -> None:
    """A PNG of the sheet, or a JPEG if ``path`` ends so.

    Texts are wrapped to the width of their column, so that none runs into another.
    """
    title, head, small = (ImageFont.load_default(size) for size in (22, 16, 14))
    cells = [cell for _, row in sheet.rows for cell in row if cell]
    column = max(LEAST_COLUMN, *(cell.picture.shape[1] for cell in cells))
    labelled = any(label for label, _ in sheet.rows)
    left = MARGIN + (LABEL_COLUMN + GAP if labelled else 0)
    count = max(len(row) for _, row in sheet.rows)
    width = left + count * (column + GAP) - GAP + MARGIN
    titles = _wrapped(sheet.title, title, width - 2 * MARGIN)
    heads = [_wrapped(text, head, column) for text in sheet.columns]
    captions = [[_wrapped(cell.caption if cell else "", small, column) for cell in row] for _, row in sheet.rows]
    tops, y = [], MARGIN + len(titles) * _line(title) + GAP
    head_top, y = y, y + max(map(len, heads), default=0) * _line(head) + (GAP // 2 if any(heads) else 0)
    heights = [max(cell.picture.shape[0] for cell in row if cell) for _, row in sheet.rows]
    for height, below in zip(heights, captions, strict=True):
        tops.append(y)
        y += height + max(map(len, below)) * _line(small) + GAP
    page = Image.new("RGB", (width, y - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    _text(draw, MARGIN, MARGIN, titles, title, INK)
    for number, lines in enumerate(heads):
        _text(draw, left + number * (column + GAP), head_top, lines, head, INK)
    for top, height, (label, row), below in zip(tops, heights, sheet.rows, captions, strict=True):
        _text(draw, MARGIN, top, _wrapped(label, head, LABEL_COLUMN), head, INK)
        for number, (cell, lines) in enumerate(zip(row, below, strict=True)):
            if cell is None:
                continue
            x = left + number * (column + GAP)
            page.paste(Image.fromarray(cell.picture), (x, top))
            _text(draw, x, top + height + 2, lines, small, FAINT)
    encoded = io.BytesIO()
    page.save(encoded, "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG", quality=85)
    _write(path, encoded.getvalue())


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _wrapped(text: str, font: Font, width: float) -> list[str]:
    """``text`` in lines of at most ``width`` pixels: broken between words, and a word only if it is longer itself."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}".strip()
            if font.getlength(joined) <= width:
                line = joined
                continue
            if line:
                lines.append(line)
            while font.getlength(word) > width:
                end = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
                lines.append(word[:end])
                word = word[end:]
            line = word
        lines.append(line)
    return lines


def _line(font: Font) -> int:
    return round(1.25 * getattr(font, "size", 11))


def _text(draw: ImageDraw.ImageDraw, x: int, y: int, lines: Sequence[str], font: Font, colour: tuple) -> None:
    for number, line in enumerate(lines):
        draw.text((x, y + number * _line(font)), line, colour, font)


def _write(path: Path, data: bytes) -> None:
    # Libraries that write pictures do not all notice when a disk takes only part of a file.
    try:
        with written_whole(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); free some space or choose another.") from error
