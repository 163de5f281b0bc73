"""Draw a sheet of labelled pictures as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nst_core.studies.sheets import Sheet
from plugin.cli.outputs import write_file

PAGE_MARGIN, PAGE_GAP, LEAST_COLUMN, LABEL_COLUMN = 24, 16, 160, 150  # pixels
INK, FAINT, PAPER = (20, 20, 20), (100, 100, 100), (255, 255, 255)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write the sheet as a JPEG if ``path`` ends in .jpg or .jpeg, or else as a PNG."""
    encoded = io.BytesIO()
    draw_sheet(sheet).save(encoded, "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG", quality=85)
    write_file(path, encoded.getvalue())


def draw_sheet(sheet: Sheet) -> Image.Image:
    """Draw the sheet. Texts are wrapped to the width of their column, so they do not overlap."""
    title, head, small = (ImageFont.load_default(size) for size in (22, 16, 14))
    cells = [cell for _, row in sheet.rows for cell in row if cell]
    column = max(LEAST_COLUMN, *(cell.picture.shape[1] for cell in cells))
    labelled = any(label for label, _ in sheet.rows)
    left = PAGE_MARGIN + (LABEL_COLUMN + PAGE_GAP if labelled else 0)
    count = max(len(row) for _, row in sheet.rows)
    width = left + count * (column + PAGE_GAP) - PAGE_GAP + PAGE_MARGIN
    titles = _wrapped(sheet.title, title, width - 2 * PAGE_MARGIN)
    heads = [_wrapped(text, head, column) for text in sheet.columns]
    captions = [[_wrapped(cell.caption if cell else "", small, column) for cell in row] for _, row in sheet.rows]
    tops, y = [], PAGE_MARGIN + len(titles) * _line_height(title) + PAGE_GAP
    head_top, y = y, y + max(map(len, heads), default=0) * _line_height(head) + (PAGE_GAP // 2 if any(heads) else 0)
    heights = [max(cell.picture.shape[0] for cell in row if cell) for _, row in sheet.rows]
    for height, below in zip(heights, captions, strict=True):
        tops.append(y)
        y += height + max(map(len, below)) * _line_height(small) + PAGE_GAP
    page = Image.new("RGB", (width, y - PAGE_GAP + PAGE_MARGIN), PAPER)
    text = _TextPen(ImageDraw.Draw(page))
    text.write((PAGE_MARGIN, PAGE_MARGIN), titles, title, INK)
    for number, lines in enumerate(heads):
        text.write((left + number * (column + PAGE_GAP), head_top), lines, head, INK)
    for top, height, (label, row), below in zip(tops, heights, sheet.rows, captions, strict=True):
        text.write((PAGE_MARGIN, top), _wrapped(label, head, LABEL_COLUMN), head, INK)
        for number, (cell, lines) in enumerate(zip(row, below, strict=True)):
            if cell is None:
                continue
            x = left + number * (column + PAGE_GAP)
            page.paste(Image.fromarray(cell.picture), (x, top))
            text.write((x, top + height + 2), lines, small, FAINT)
    return page


def _wrapped(text: str, font: Font, width: float) -> list[str]:
    """Return ``text`` in lines of at most ``width`` pixels, broken between words, or in a word that is longer."""
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


def _line_height(font: Font) -> int:
    return round(1.25 * getattr(font, "size", 11))


class _TextPen:
    """Writes lines of text on a page."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def write(self, place: tuple[int, int], lines: Sequence[str], font: Font, colour: tuple[int, int, int]) -> None:
        x, y = place
        for number, line in enumerate(lines):
            self._draw.text((x, y + number * _line_height(font)), line, colour, font)
