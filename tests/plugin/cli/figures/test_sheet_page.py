import numpy as np
from PIL import Image

from nst_core.studies.sheets import Cell, Sheet
from plugin.cli.figures.sheet_page import write_sheet


def plain(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def box(page, colour):
    """Left, top, right and bottom of what has exactly this colour."""
    rows, columns = np.nonzero((page == np.array(colour, np.uint8)).all(2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_sheet_has_pictures_in_even_columns_without_text_over_them(tmp_path):
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200)]
    cells = [Cell(plain(50, 180, c), f"{'quite a long caption ' * 4}{number}") for number, c in enumerate(colours)]
    label = "a label of many words that go on and on, and a_word_that_is_much_wider_than_the_whole_column_is"
    rows = [(label, [*cells[:3]]), ("another", [cells[3], None, cells[4]])]
    heads = ["first", "a heading far longer than any column of this sheet is wide", "third"]
    write_sheet(Sheet("A title that is as long as the sheet is wide or longer " * 3, heads, rows), tmp_path / "s.png")
    page = np.array(Image.open(tmp_path / "s.png"))
    boxes = [box(page, colour) for colour in colours]
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (180, 50)
        assert (page[top:bottom, left:right] == page[top, left]).all()
    (a, b, c), (d, e) = boxes[:3], boxes[3:]
    assert b[0] - a[0] == c[0] - b[0] > 180 and a[1] == b[1] == c[1]
    assert d[0] == a[0] and e[0] == c[0] and d[1] == e[1] > a[3] + 50
    # Between the columns, beside the labels and at the edges nothing is written, from the first row on.
    for left, right in ((a[2], b[0]), (b[2], c[0]), (a[0] - 10, a[0]), (c[2], page.shape[1]), (0, 20)):
        assert (page[a[1] :, left:right] == 255).all()
    assert (page[-20:] == 255).all() and (page[:20] == 255).all()
    # Each picture has its caption below it, and the gap has none.
    for left, _, right, bottom in boxes:
        assert (page[bottom : bottom + 60, left:right] < 150).any()
    assert (page[d[1] : d[3] + 60, b[0] : b[2]] == 255).all()
